"""Suppressions looked at and taken back: from the moment of the answer on, in whatever is asked for."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.changing import ELSEWHERE, changed, decided
from api.models import LARGEST_BATCH, UserId
from api.problems import documented
from api.refusals import ConflictError, InvalidError, UnknownError
from api.routes_suppressions import Ordered, Suppressor
from api.running import Running
from api.security import count_users
from data_contracts.vocabulary import SuppressionKind
from sql import lifts
from sql.client import Store
from sql.suppressions import OtherKeyError

router = APIRouter(tags=["suppressions"])


class LiftOrder(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str = Field(
        min_length=1, max_length=500, pattern=r"^[^\x00]*\S[^\x00]*$", description="kept with it", examples=["call 512"]
    )
    user_ids: tuple[UserId, ...] = Field((), max_length=LARGEST_BATCH, description="only of these; none: of all of it")


class Lifted(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str
    lifted: int = Field(description="users, or rows of a file, of whom it no longer holds")
    lifted_before: int = Field(description="of whom an earlier lift had ended it")


@router.post(
    "/api/v1/suppressions/{suppression_id}/lift",
    responses={
        404: documented("Nothing was accepted under this id."),
        **ELSEWHERE,
        409: documented("An erasure was asked for, which nothing lifts."),
        422: documented("A field is wrong, or the Idempotency-Key was used for another lift."),
        503: documented("ClickHouse does not answer: it may or may not have been lifted; ask again."),
    },
)
async def lift(
    request: Request,
    caller: Suppressor,
    order: Ordered,
    suppression_id: Annotated[str, Path(pattern=r"^[0-9a-f]{32}(\.\d{1,6})?$", examples=["0" * 32])],
    given: LiftOrder,
) -> Lifted:
    """Take back what was suppressed under an id: address these users again, unless something else keeps them back.

    Holds in every answer as a suppression does. Who suppressed and who lifted, when and why, stays on record; the same
    suppression that comes again afterwards is accepted anew.
    """
    count_users(request, caller, given.user_ids)
    wish = lifts.Wish(suppression_id, given.reason, order, given.user_ids)

    def take_back(store: Store) -> lifts.Lift:
        return lifts.lift(store, wish, refuse=caller.refuse_other_channel)

    try:
        done = await decided(request, take_back)
    except lifts.NoSuchSuppressionError as error:
        raise UnknownError(str(error)) from error
    except lifts.ErasedError as error:
        raise ConflictError(str(error)) from error
    except lifts.NotSuppressedError as error:
        raise InvalidError(str(error), field="user_ids") from error
    except OtherKeyError as error:
        raise InvalidError(str(error), field="Idempotency-Key") from error
    return Lifted(id=done.lift_id, lifted=done.lifted, lifted_before=done.before)


class KeptLift(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str
    at: AwareDatetime
    actor: str
    reason: str


class KeptSuppression(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str = Field(description="what lifts it; that of a file or an order is shared by all of its users")
    accepted_at: AwareDatetime
    kind: SuppressionKind
    channel: str
    product_id: str | None
    family: str | None
    until: AwareDatetime | None
    reason: str
    actor: str
    in_force: bool = Field(description="whether it holds now: it was not lifted, and its time has not passed")
    lift: KeptLift | None


class KeptSuppressions(BaseModel):
    model_config = ConfigDict(frozen=True)

    suppressions: list[KeptSuppression]


@router.get(
    "/api/v1/suppressions",
    responses={422: documented("The id is not one."), 503: documented("ClickHouse does not answer.")},
)
async def suppressions_of(
    request: Request, service: Running, _: Suppressor, user_id: Annotated[UserId, Query(examples=["1000042"])]
) -> KeptSuppressions:
    """A user's suppressions, oldest first, those too that ended or were lifted: who, when and why.

    What the user did in the app (opt-outs, opt-ins) is not among them; an opt-in later than a suppression opens its
    channel although `in_force` is true.
    """
    now = service.clock()
    found = await changed(request, lambda store: lifts.suppressions_of(store, user_id))
    return KeptSuppressions(suppressions=[_kept(one, now) for one in found])


def _kept(one: lifts.PastSuppression, now: datetime) -> KeptSuppression:
    lift = one.lift
    return KeptSuppression(
        id=one.suppression_id,
        accepted_at=one.accepted_at,
        kind=SuppressionKind(one.kind),
        channel=one.channel,
        product_id=one.product_id or None,
        family=one.family or None,
        until=one.until,
        reason=one.reason,
        actor=one.actor,
        in_force=one.is_in_force(now),
        lift=KeptLift(id=lift.lift_id, at=lift.at, actor=lift.actor, reason=lift.reason) if lift else None,
    )
