"""Why a user was shown what they were: for the bank's own people (`profiles:read`)."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request

from api.explanation_models import EXPLANATION, Explanation
from api.explanations import explanation
from api.models import Locale, UserId
from api.problems import documented
from api.running import Running
from api.security import Scope, requires

router = APIRouter(prefix="/api/v1", tags=["profiles"])


@router.get(
    "/explanations/{rec_id}",
    responses={
        200: {"content": {"application/json": {"example": EXPLANATION}}},
        404: documented("No such answer was logged, or not yet: exposures take a moment, and may be dropped."),
        410: documented("Its retention has passed, or its snapshot is no longer kept."),
        422: documented("The rec_id is forged or broken."),
        503: documented("ClickHouse does not answer."),
    },
    dependencies=[requires(Scope.PROFILES_READ)],
)
async def explain(
    request: Request,
    service: Running,
    rec_id: Annotated[str, Path(max_length=256, description="of the answer", examples=[EXPLANATION["rec_id"]])],
    user_id: Annotated[
        UserId | None, Query(description="whose answer it is: then a forged id is told from one never logged")
    ] = None,
    locale: Annotated[Locale, Query(description="language of reasons")] = Locale.EN,
) -> Explanation:
    """Why each item was shown, and what was dropped by which rule, as lists, events and rules were then."""
    return await explanation(service, request.app.state.settings, rec_id, user_id=user_id, locale=locale)
