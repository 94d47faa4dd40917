"""Errors as problem documents (RFC 9457, media type application/problem+json)."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from api.models import FieldError, Problem, named
from api.refusals import RefusalError
from api.security import Refused
from data_contracts.errors import GateError, InputError, UnavailableError

MEDIA_TYPE = "application/problem+json"
_SCHEMAS = "#/components/schemas/"
_LOG = logging.getLogger("recs.api")


def documented(description: str) -> dict[str, Any]:
    """An error response for a route's `responses`; `problem_schemas` must be among the document's components."""
    return {"description": description, "content": {MEDIA_TYPE: {"schema": {"$ref": f"{_SCHEMAS}Problem"}}}}


def problem_schemas() -> dict[str, Any]:
    """Components of the OpenAPI document that `documented` refers to."""
    schema = Problem.model_json_schema(ref_template=_SCHEMAS + "{model}")
    return {**schema.pop("$defs"), "Problem": schema}


def document_refusals(schema: dict[str, Any]) -> None:
    """Adds to every operation that needs a token how it refuses, so that no route need say so."""
    for operations in schema["paths"].values():
        for operation in operations.values():
            if operation.get("security"):
                for status, description in _REFUSALS.items():
                    operation["responses"].setdefault(status, documented(description))


_REFUSALS = {
    "401": "No token, or one that does not hold; WWW-Authenticate tells.",
    "403": "The token lacks the scope, or is bound to another channel.",
    "429": "Too many requests of this client or about this user; Retry-After tells.",
    "503": "Too many requests at once, or what is needed does not answer; Retry-After tells.",
}


def install_problems(app: FastAPI) -> None:
    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        errors = [
            FieldError(field=named(one["loc"][1:]) or str(one["loc"][0]), message=_message(one["msg"]))
            for one in error.errors()
        ]
        detail = "; ".join(f"{one.field}: {one.message}" for one in errors)
        return _problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        return _problem(request, HTTPStatus(error.status_code), str(error.detail), headers=error.headers)

    @app.exception_handler(Refused)
    async def not_admitted(request: Request, error: Refused) -> Response:
        return refusal(request, error)

    @app.exception_handler(InputError)
    async def wrong(request: Request, error: InputError) -> Response:
        return _problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, str(error))

    @app.exception_handler(GateError)
    async def not_passed(request: Request, error: GateError) -> Response:
        return _problem(request, HTTPStatus.CONFLICT, str(error))

    @app.exception_handler(RefusalError)
    async def cannot(request: Request, error: RefusalError) -> Response:
        errors = [FieldError(field=error.field, message=str(error))] if error.field else []
        wait = error.retry_after_seconds
        headers = {} if wait is None else {"Retry-After": str(wait)}
        return _problem(request, error.status, str(error), errors, headers=headers)

    @app.exception_handler(UnavailableError)
    async def away(request: Request, error: UnavailableError) -> Response:
        return _problem(request, HTTPStatus.SERVICE_UNAVAILABLE, str(error))

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> Response:
        _LOG.error("unforeseen error", exc_info=error)
        return _problem(request, HTTPStatus.INTERNAL_SERVER_ERROR, "an error nobody foresaw; it has been logged")


def refusal(request: Request, refused: Refused) -> Response:
    return _problem(request, refused.status, refused.detail, headers=refused.headers)


def _problem(
    request: Request,
    status: HTTPStatus,
    detail: str,
    errors: Sequence[FieldError] = (),
    *,
    headers: Mapping[str, str] | None = None,
) -> Response:
    # The path alone: a query string holds user ids.
    problem = Problem(title=status.phrase, status=status, detail=detail, instance=request.url.path, errors=list(errors))
    return Response(problem.model_dump_json(), status_code=status, media_type=MEDIA_TYPE, headers=headers)


def _message(text: str) -> str:
    return text.removeprefix("Value error, ")
