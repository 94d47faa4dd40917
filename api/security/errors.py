"""How a caller is refused: a status, and the challenge of RFC 6750 for the header WWW-Authenticate."""

from collections.abc import Mapping
from http import HTTPStatus

_REALM = 'Bearer realm="recs"'


class Refused(Exception):  # noqa: N818 - a verdict, not a fault
    """The caller may not have what was asked. `detail` never repeats anything of the token."""

    def __init__(self, status: HTTPStatus, detail: str, *, headers: Mapping[str, str]) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


def no_token() -> Refused:
    return _refused(HTTPStatus.UNAUTHORIZED, "a bearer token is needed", _REALM)


def bad_request(detail: str) -> Refused:
    return _refused(HTTPStatus.UNAUTHORIZED, detail, f'{_REALM}, error="invalid_request"')


def bad_token(detail: str) -> Refused:
    challenge = f'{_REALM}, error="invalid_token", error_description="{detail}"'
    return _refused(HTTPStatus.UNAUTHORIZED, detail, challenge)


def missing_scope(scope: str) -> Refused:
    challenge = f'{_REALM}, error="insufficient_scope", scope="{scope}"'
    return _refused(HTTPStatus.FORBIDDEN, f"the token lacks the scope {scope}", challenge)


def other_channel(bound_to: str) -> Refused:
    challenge = f'{_REALM}, error="insufficient_scope"'
    return _refused(HTTPStatus.FORBIDDEN, f"the token is bound to the channel {bound_to}", challenge)


def no_keys(*, retry_seconds: float) -> Refused:
    """Nobody's token can be checked: ours to mend, not the caller's."""
    headers = {"Retry-After": str(max(1, round(retry_seconds)))}
    return Refused(HTTPStatus.SERVICE_UNAVAILABLE, "the issuer's keys cannot be had", headers=headers)


def _refused(status: HTTPStatus, detail: str, challenge: str) -> Refused:
    return Refused(status, detail, headers={"WWW-Authenticate": challenge})
