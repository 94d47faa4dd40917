"""What to show a user, or many users."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request
from fastapi.responses import Response

from api.examples import ANSWER, MANY
from api.models import (
    KIND_IS,
    MOST_EXCLUDED,
    MOST_IN_CART,
    USUAL_ITEMS,
    AskedContext,
    Batch,
    ItemId,
    Locale,
    ManyAsked,
    OneAsked,
    Recommendations,
    SearchText,
    TopK,
    UserId,
)
from api.problems import documented
from api.refusals import InvalidError
from api.responses import json_response
from api.running import Running
from api.security import Principal, Scope, count_users, requires
from api.service import question_of
from data_contracts.vocabulary import Channel, Family, Kind, Placement, Screen

router = APIRouter(prefix="/api/v1/recommendations", tags=["recommendations"])


def _with_example(value: Any) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {"application/json": {"example": value}}}}


async def _context(
    *,
    request: Request,
    screen: Annotated[Screen | None, Query(alias="context.screen", description="screen of the app")] = None,
    placement: Annotated[
        Placement | None,
        Query(alias="context.placement", description="place on it; without `kind` it mixes products and offers"),
    ] = None,
    search: Annotated[
        SearchText | None, Query(alias="context.search", description="words searched for; only their family is kept")
    ] = None,
    cart: Annotated[
        list[ItemId],
        Query(alias="context.cart", description="an item in the cart; repeat it for more", max_length=MOST_IN_CART),
    ] = [],  # noqa: B006 - never changed
    basket_product: Annotated[
        ItemId | None, Query(alias="context.basket_product", description="product that is being taken now")
    ] = None,
) -> AskedContext | None:
    given = {name.removeprefix(_OF_CONTEXT) for name in request.query_params if name.startswith(_OF_CONTEXT)}
    if not given:
        return None
    if unknown := sorted(given - set(AskedContext.model_fields)):
        name = f"{_OF_CONTEXT}{unknown[0]}"
        raise InvalidError(f"{name}: no such parameter", field=name)
    return AskedContext(
        screen=screen, placement=placement, search=search, cart=tuple(cart), basket_product=basket_product
    )


_OF_CONTEXT = "context."


@router.get(
    "",
    response_model=Recommendations,
    responses={
        **_with_example(ANSWER),
        422: documented("A parameter is missing or wrong; `errors` names it."),
    },
    dependencies=[requires(Scope.RECOMMENDATIONS_READ)],
)
async def recommendations(
    *,
    service: Running,
    user_id: Annotated[UserId, Query(description="internal id of the user", examples=["1000042"])],
    channel: Annotated[Channel, Query(description="where the answer will be shown")],
    top_k: Annotated[TopK, Query(description="most items to answer")] = USUAL_ITEMS,
    kind: Annotated[Kind | None, Query(description=KIND_IS)] = None,
    locale: Annotated[Locale, Query(description="language of names and reasons")] = Locale.EN,
    families: Annotated[
        list[Family], Query(description="products of these families only; repeat it for more", max_length=len(Family))
    ] = [],  # noqa: B006 - never changed
    exclude: Annotated[
        list[ItemId], Query(description="an item not to answer; repeat it for more", max_length=MOST_EXCLUDED)
    ] = [],  # noqa: B006 - never changed
    context: Annotated[AskedContext | None, Depends(_context)],
) -> Response:
    """What to show a user now, best first.

    Always answers: where the personal list is not to be had, or is too short, the segment's, the popular and the
    static list fill it, as far as the rules on showing allow. `tier` says where the answer came from.

    `context.*` says where it is asked, such as `context.screen=cards&context.search=travel+card`: it changes the order,
    and a placement without `kind` mixes products and offers. Unknown items do nothing; unknown screens are refused.
    """
    asked = OneAsked.model_construct(
        user_id=user_id,
        channel=channel,
        top_k=top_k,
        kind=kind,
        locale=locale,
        families=frozenset(families),
        exclude=frozenset(exclude),
        context=context,
    )
    return json_response(await service.answer(question_of(user_id, asked), locale=locale))


@router.post(
    "/batch",
    response_model=Batch,
    responses={
        **_with_example({"answers": [ANSWER]}),
        422: documented("A field is missing or wrong; `errors` names it."),
    },
)
async def batch(
    request: Request,
    service: Running,
    caller: Annotated[Principal, requires(Scope.RECOMMENDATIONS_READ)],
    asked: Annotated[ManyAsked, Body(examples=[MANY])],
) -> Response:
    """The same for up to 1,000 users at once."""
    caller.refuse_other_channel(asked.channel)
    count_users(request, caller, asked.user_ids)
    return json_response({"answers": await service.answers(asked.user_ids, asked)})
