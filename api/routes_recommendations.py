"""What to show a user, or many users."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request
from fastapi.responses import Response

from api.examples import ANSWER
from api.express import ExpressRoute
from api.models import MOST_EXCLUDED, Batch, ItemId, Locale, ManyAsked, Recommendations, TopK, UserId
from api.problems import documented
from api.recommend import Question
from api.responses import json_response
from api.running import Running
from api.security import Principal, Scope, count_users, requires
from data_contracts.vocabulary import Channel, Family, Kind

# The look-up is first: a router tries its routes in turn.
router = APIRouter(prefix="/api/v1/recommendations", tags=["recommendations"], route_class=ExpressRoute)


def _with_example(value: Any) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {"application/json": {"example": value}}}}


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
    top_k: Annotated[TopK, Query(description="most items to answer")] = 10,
    kind: Annotated[Kind, Query(description="bank products, or partners' offers")] = Kind.PRODUCT,
    locale: Annotated[Locale, Query(description="language of names and reasons")] = Locale.EN,
    families: Annotated[
        list[Family], Query(description="products of these families only; repeat it for more", max_length=len(Family))
    ] = [],  # noqa: B006 - never changed
    exclude: Annotated[
        list[ItemId], Query(description="an item not to answer; repeat it for more", max_length=MOST_EXCLUDED)
    ] = [],  # noqa: B006 - never changed
) -> Response:
    """What to show a user now, best first.

    Always answers: where the personal list is not to be had, or is too short, the segment's, the popular and the
    static list fill it, as far as the rules on showing allow. `tier` says where the answer came from.
    """
    question = Question(user_id, channel, kind, top_k, frozenset(families), frozenset(exclude))
    return json_response(await service.answer(question, locale=locale))


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
    asked: Annotated[ManyAsked, Body(examples=[{"user_ids": ["1000042", "1000043"], "channel": "crm", "top_k": 3}])],
) -> Response:
    """The same for up to 1,000 users at once."""
    caller.refuse_other_channel(asked.channel)
    count_users(request, caller, asked.user_ids)
    return json_response({"answers": await service.answers(asked.user_ids, asked)})
