"""Calls the running API as our own commands do: JSON in, JSON out, with a token of the local issuer or RECS_TOKEN."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from typing import IO, Any

from data_contracts.errors import InputError, UnavailableError
from data_contracts.settings import Settings
from data_contracts.vocabulary import Scope
from infra.ask import detail_of
from infra.tokens import own_token

_SECONDS = 60


def call(
    settings: Settings, path: str, *, scope: Scope, body: Mapping[str, Any] | None = None, url: str | None = None
) -> dict[str, Any]:
    """The answer. `path` after /api/v1, `url` of another API than this machine's; a body is sent by POST.

    Raises InputError for what the API refuses, UnavailableError where it does not answer or has no room.
    """
    with opened(settings, path, scope=scope, body=body, url=url) as answer:
        told: dict[str, Any] = json.loads(answer.read())
        return told


def opened(
    settings: Settings, path: str, *, scope: Scope, body: Mapping[str, Any] | None = None, url: str | None = None
) -> IO[bytes]:
    """The same, of an answer that is read bit by bit."""
    base = base_url(settings, url)
    token = own_token(settings, scope)
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{base}/api/v1{path}", data=data, headers=headers)  # noqa: S310
    try:
        found: IO[bytes] = urllib.request.urlopen(request, timeout=_SECONDS)  # noqa: S310 - the API's own address
        return found
    except urllib.error.HTTPError as error:
        kind = UnavailableError if error.code >= HTTPStatus.INTERNAL_SERVER_ERROR else InputError
        raise kind(f"the API refused: {detail_of(error.read())}") from error
    except OSError as error:
        raise UnavailableError(f"no API at {base}: start it with recs up, or give --url") from error


def base_url(settings: Settings, url: str | None) -> str:
    return (url or settings.api_url or f"http://127.0.0.1:{settings.api_port}").rstrip("/")
