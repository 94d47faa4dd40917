"""What users did about answers."""

from typing import Annotated

from fastapi import APIRouter, Body, Header, Request

from api.examples import FEEDBACK, FEEDBACK_TAKEN
from api.models import Feedback, FeedbackTaken
from api.problems import documented
from api.running import Running
from api.security import Principal, Scope, count_users, requires

router = APIRouter(prefix="/api/v1/recommendations", tags=["feedback"])


@router.post(
    "/feedback",
    status_code=202,
    response_model=FeedbackTaken,
    responses={
        202: {"content": {"application/json": {"example": FEEDBACK_TAKEN}}},
        421: documented("This service takes no feedback; there is another that does."),
        422: documented(
            "A field is wrong, the rec_id is forged or another user's, or the Idempotency-Key was used for other "
            "feedback; `errors` names the field."
        ),
        503: documented("There is no room to keep it now; Retry-After says when to come again."),
    },
)
async def feedback(
    request: Request,
    service: Running,
    caller: Annotated[Principal, requires(Scope.FEEDBACK_WRITE)],
    given: Annotated[Feedback, Body(examples=[FEEDBACK])],
    idempotency_key: Annotated[
        str,
        Header(
            description="the same key of the same user counts once, and is refused with other fields while it is known "
            "(24 hours by default); without it, the same fields count once",
            max_length=128,
        ),
    ] = "",
) -> FeedbackTaken:
    """Take down a click, a dismissal or a purchase: about the product that `context` names, else about the whole list.

    A whole list that is dismissed takes out all that it showed. A click or a purchase without a product is kept, and
    changes no answer, since nobody knows what it was about.

    Once answered it is on disk, and arrives however long what it is meant for is away.
    """
    count_users(request, caller, [given.user_id])
    taken = await service.take_feedback(given, caller=caller, idempotency_key=idempotency_key)
    return FeedbackTaken(id=taken.event_id, status="accepted", is_expired=taken.is_expired)
