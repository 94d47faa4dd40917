"""What is known of users: for the bank's own people (`profiles:read`)."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from api.models import UserId
from api.problems import documented
from api.profile_models import PROFILE, Profile
from api.profiles import profile
from api.running import Running
from api.security import Scope, requires

router = APIRouter(prefix="/api/v1", tags=["profiles"])


@router.get(
    "/users/{user_id}/profile",
    responses={
        200: {"content": {"application/json": {"example": PROFILE}}},
        404: documented("Neither the snapshot that is served nor any stored event knows this user."),
        422: documented("The id is not one."),
        503: documented("ClickHouse does not answer, or no snapshot is published."),
    },
    dependencies=[requires(Scope.PROFILES_READ)],
)
async def user_profile(
    request: Request,
    service: Running,
    user_id: Annotated[UserId, Path(description="internal id of the user", examples=["1000042"])],
) -> Profile:
    """Segment, holdings, consents, eligibility attributes, the list's top and recent events; internal ids only."""
    return await profile(service, request.app.state.settings, user_id)
