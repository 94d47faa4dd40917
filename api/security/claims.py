"""The claims of a token whose signature holds, checked and read. Pure: the clock comes in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.security.errors import bad_token
from api.security.principal import Principal
from data_contracts.vocabulary import Channel

# Of an access token; a token for something else (logout+jwt, dpop+jwt) is refused.
_TYPES = frozenset({"at+jwt", "application/at+jwt", "jwt", "application/jwt"})

_END_OF_TIME = 1e12


@dataclass(frozen=True)
class Expected:
    issuer: str
    audience: str
    leeway_seconds: float


def check_type(header: Mapping[str, Any]) -> None:
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise bad_token("not an access token")


def principal(claims: Mapping[str, Any], expected: Expected, *, now: float) -> Principal:
    """Raises Refused (401) for a token of another issuer, for somebody else, of another time, or without a name."""
    if claims.get("iss") != expected.issuer:
        raise bad_token("another issuer")
    if expected.audience not in _texts(claims.get("aud")):
        raise bad_token("another audience")
    found = Principal(
        client=_client(claims),
        scopes=frozenset(word for text in _texts(claims.get("scope", claims.get("scp"))) for word in text.split()),
        channel=_channel(claims.get("channel")),
        certificate=_certificate(claims.get("cnf")),
        expires=_moment(claims, "exp", default=None) + expected.leeway_seconds,
        begins=_moment(claims, "nbf", default=0.0) - expected.leeway_seconds,
    )
    refuse_out_of_time(found, now=now)
    return found


def refuse_out_of_time(found: Principal, *, now: float) -> None:
    if now >= found.expires:
        raise bad_token("expired")
    if now < found.begins:
        raise bad_token("not valid yet")


def _moment(claims: Mapping[str, Any], name: str, *, default: float | None) -> float:
    value = claims.get(name, default)
    # The comparison also refuses NaN, which is neither before nor after anything.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _END_OF_TIME:
        raise bad_token(f"claim {name} is missing or no moment")
    return float(value)


def _client(claims: Mapping[str, Any]) -> str:
    for name in ("client_id", "azp", "sub"):
        value = claims.get(name)
        if isinstance(value, str) and value:
            return value[:200]
    raise bad_token("it names no client")


def _channel(value: Any) -> Channel | None:
    if value is None:
        return None
    if value not in list(Channel):
        raise bad_token("bound to an unknown channel")
    return Channel(value)


def _certificate(value: Any) -> str | None:
    """A binding that is not understood must not be passed over (RFC 7800)."""
    if value is None:
        return None
    thumbprint = value.get("x5t#S256") if isinstance(value, dict) else None
    if not isinstance(thumbprint, str):
        raise bad_token("bound to a key in an unknown way")
    return thumbprint


def _texts(value: Any) -> list[str]:
    many = value if isinstance(value, list) else [value]
    return [one for one in many if isinstance(one, str)]
