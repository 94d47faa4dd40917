"""What routes of proposals share: the paths' parts, bodies, and how an error of a document is told."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from api.changing import ELSEWHERE, decided
from api.operator_models import ProposalInfo
from api.problems import documented
from api.refusals import ConflictError, InvalidError, UnknownError
from api.routes_operators import Why
from api.security import Principal
from api.service import Service
from data_contracts.yaml_files import PROPOSED, DocumentError
from sql.client import Store
from sql.proposals import Decision, NoSuchProposalError, NotWaitingError, Step

ProposalId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", examples=["0" * 32])]
Most = Annotated[int, Query(ge=1, le=100, description="how many at most")]
AWAY: dict[int | str, dict[str, Any]] = {503: documented("ClickHouse does not answer.")}
ASKED: dict[int | str, dict[str, Any]] = {
    422: documented("The document is wrong by itself or beside others: field and line tell."),
    **ELSEWHERE,
    **AWAY,
}
DECIDED: dict[int | str, dict[str, Any]] = {
    404: documented("There is no such proposal."),
    409: documented("It does not wait any more, or who asks proposed it."),
    422: documented("It contradicts the catalogue or others by now, or a reason is missing."),
    **ELSEWHERE,
    **AWAY,
}


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Drafted(_Body):
    document: str = Field(min_length=1, max_length=20_000, description="YAML or JSON, as in its file")
    why: Why = Field(min_length=1)


class Reasoned(_Body):
    why: Why = ""


def decision_of(service: Service, caller: Principal, proposal_id: str, step: Step, given: Reasoned | None) -> Decision:
    return Decision(proposal_id, step, caller.client, given.why if given else "", service.clock())


async def acted(request: Request, act: Callable[[Store], ProposalInfo]) -> ProposalInfo:
    """What `act` returns. Raises RefusalError."""
    try:
        return await decided(request, act)
    except DocumentError as error:
        raise _fault(error) from error
    except NoSuchProposalError as error:
        raise UnknownError(str(error)) from error
    except NotWaitingError as error:
        raise ConflictError(str(error)) from error


def _fault(error: DocumentError) -> InvalidError:
    """A fault of the document itself by its field; one of another, by file and line."""
    if error.path.name != PROPOSED:
        return InvalidError(str(error), field="document")
    return InvalidError(f"line {error.line}: {error.why}", field=f"document.{error.where}".rstrip("."))
