"""What routes and gRPC ask before they answer anybody.

@router.get("/api/v1/...", dependencies=[requires(Scope.RECOMMENDATIONS_READ)])
async def route(caller: Annotated[Principal, requires(Scope.FEEDBACK_WRITE)]) -> ...
"""

import base64
import hashlib
import hmac
import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Protocol

from fastapi import Request, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from api.security.claims import Expected
from api.security.errors import bad_request, bad_token, no_token
from api.security.keys import Keys
from api.security.principal import Principal
from api.security.verifier import Verifier
from data_contracts.settings import Settings
from data_contracts.vocabulary import Scope

_LOG = logging.getLogger("recs.api")


class Meter(Protocol):
    """What `api.limits` does: headers that tell what is left; raises Refused (429)."""

    def take(self, client: str, user: str | None) -> dict[str, str]: ...

    def take_users(self, client: str, users: Iterable[str]) -> dict[str, str]: ...


class Guard:
    """Admits callers. `verifier` None: tokens are off and everybody is admitted."""

    def __init__(self, verifier: Verifier | None, *, clock: Callable[[], datetime]) -> None:
        self._verifier = verifier
        self._clock = clock

    @classmethod
    def of(cls, settings: Settings, *, clock: Callable[[], datetime]) -> "Guard":
        if settings.auth == "off":
            return cls(None, clock=clock)
        keys = Keys(
            settings.jwks_uri,
            refresh_seconds=settings.oauth_jwks_refresh_seconds,
            again_seconds=settings.oauth_jwks_again_seconds,
        )
        expected = Expected(settings.oauth_issuer, settings.oauth_audience, settings.oauth_leeway_seconds)
        return cls(Verifier(keys, expected, algorithms=settings.oauth_algorithms), clock=clock)

    async def start(self) -> None:
        """Read the keys before the first caller comes, and say it loudly where nobody needs any."""
        if self._verifier is None:
            _LOG.warning("RECS_AUTH=off: EVERYBODY WHO REACHES THIS PORT MAY ASK ANYTHING, of any user")
        else:
            await self._verifier.keys.look()

    async def admit(
        self,
        authorization: Sequence[str],
        scope: Scope | None,
        *,
        channel: str | None = None,
        certificate: bytes | None = None,
    ) -> Principal:
        """Who asks, by the values of the header (or gRPC metadata) `authorization`; raises Refused.

        `scope` None: any token that holds will do.

        `channel`: the one asked for, where there is one. `certificate`: the client's, DER, where TLS shows one.
        """
        if self._verifier is None:
            return Principal.anybody()
        found = await self._verifier.principal(_bearer(authorization), now=self._clock().timestamp())
        if found.certificate is not None and not _is_bound_to(found.certificate, certificate):
            raise bad_token("bound to another client certificate")
        if scope is not None:
            found.refuse_without(scope)
        if channel is not None:
            found.refuse_other_channel(channel)
        return found


class _Requires(SecurityBase):
    """The dependency behind `requires`; its model is what the OpenAPI document says."""

    def __init__(self, scope: Scope | None) -> None:
        self.model = HTTPBearer(bearerFormat="JWT", description="An access token of the bank's OAuth2 server.")
        self.scheme_name = "token"
        self._scope = scope

    async def __call__(self, request: Request) -> Principal:
        query = request.query_params
        return await admitted(request, self._scope, channel=query.get("channel"), user_id=query.get("user_id"))


async def admitted(request: Request, scope: Scope | None, *, channel: str | None, user_id: str | None) -> Principal:
    """Who asks, if they may ask this and now; raises Refused. `channel` and `user_id` are those asked for, if any."""
    guard: Guard = request.app.state.guard
    authorization = request.headers.getlist("authorization")
    certificate = client_certificate(request.scope)
    caller = await guard.admit(authorization, scope, channel=channel, certificate=certificate)
    limits: Meter = request.app.state.limits
    # Added to the answer's headers at the edge.
    request.scope["told"] = limits.take(caller.client, user_id)
    return caller


def requires(scope: Scope) -> Any:
    """A dependency that admits callers with a scope, bound to no other channel than that of the query string."""
    return Security(_Requires(scope), scopes=[scope.value])


def known() -> Any:
    """A dependency that admits every caller whose token holds, whatever it allows."""
    return Security(_Requires(None))


def count_users(request: Request, caller: Principal, user_ids: Iterable[int]) -> None:
    """For routes that name users in their body: counts the request against each; raises Refused (429)."""
    limits: Meter = request.app.state.limits
    told = request.scope.pop("told")  # a refusal tells its own
    request.scope["told"] = told | limits.take_users(caller.client, map(str, user_ids))


def client_certificate(scope: Any) -> bytes | None:
    """The client's certificate, DER, where the server shows it (the ASGI extension `tls`)."""
    shown: bytes | None = scope.get("extensions", {}).get("tls", {}).get("client_cert")
    return shown


def thumbprint(certificate: bytes) -> str:
    """As RFC 8705 has it: SHA-256 of the DER bytes, base64url without padding."""
    return base64.urlsafe_b64encode(hashlib.sha256(certificate).digest()).rstrip(b"=").decode()


def _is_bound_to(expected: str, certificate: bytes | None) -> bool:
    return certificate is not None and hmac.compare_digest(expected.encode(), thumbprint(certificate).encode())


def _bearer(values: Sequence[str]) -> str:
    if not values:
        raise no_token()
    if len(values) > 1:
        raise bad_request("more than one Authorization")
    scheme, _, token = values[0].partition(" ")
    if scheme.lower() != "bearer":
        raise no_token()
    if not token.strip() or not token.isascii():
        raise bad_token("not a JWT")
    return token.strip()
