"""`recs token` and the local issuer behind it: for development, an OAuth2 server that is two files in the data folder.

`jwks.json` is what the API reads. `signing.json` holds the private key and never leaves this machine; whoever has it
can make any token, which is why production names the bank's issuer in RECS_OAUTH_JWKS.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from data_contracts.errors import InputError
from data_contracts.settings import Settings
from data_contracts.vocabulary import Channel, Scope
from infra.console import console
from infra.options import DataDir, settings_of

_ALGORITHM = "ES256"


def token(
    scope: Annotated[list[Scope] | None, typer.Option(help="Repeat for several. [default: all that only read]")] = None,
    client: Annotated[str, typer.Option(help="Name of the application.")] = "developer",
    channel: Annotated[Channel | None, typer.Option(help="Bind the token to a channel.")] = None,
    minutes: Annotated[float, typer.Option(min=0.1, max=1440, help="How long it holds.")] = 60,
    rotate: Annotated[bool, typer.Option("--rotate", help="Sign with a new key from now on.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Print a bearer token of the local issuer, for development.

    Example: `recs token --scope recommendations:read --channel mobile`
    """
    settings = settings_of(data_dir=data_dir)
    ensure_issuer(settings)
    if rotate:
        rotate_key(settings)
    scopes = scope or [one for one in Scope if one.value.endswith(":read")]
    text = issue(settings, scopes=scopes, client=client, channel=channel, seconds=60 * minutes)
    console.print(text, soft_wrap=True)


def ensure_issuer(settings: Settings) -> None:
    """Make the local issuer's keys where tokens are checked against them and they are not there yet."""
    if settings.auth == "on" and settings.oauth_jwks is None and not _signing(settings).exists():
        rotate_key(settings)


def rotate_key(settings: Settings) -> None:
    """A new signing key; the public halves of older ones stay, so that tokens under way go on holding."""
    from joserfc.jwk import ECKey

    key = ECKey.generate_key("P-256", auto_kid=True)
    published = settings.issuer_dir / "jwks.json"
    older = orjson.loads(published.read_bytes())["keys"] if published.exists() else []
    public = {**key.as_dict(private=False), "use": "sig", "alg": _ALGORITHM}
    settings.issuer_dir.mkdir(parents=True, exist_ok=True)
    # Published before it signs: nobody meets a token whose key cannot be found.
    _replace(published, {"keys": [*older, public]}, mode=0o644)
    _replace(_signing(settings), dict(key.as_dict(private=True)), mode=0o600)


def issue(
    settings: Settings,
    *,
    scopes: Sequence[Scope],
    client: str,
    channel: Channel | None = None,
    seconds: float,
    now: float | None = None,
) -> str:
    """A signed token. Raises InputError where there is no local issuer, or another one is set."""
    from joserfc import jwt
    from joserfc.jwk import ECKey

    if settings.oauth_jwks is not None:
        raise InputError("tokens come from the issuer of RECS_OAUTH_JWKS, not from here")
    try:
        key = ECKey.import_key(orjson.loads(_signing(settings).read_bytes()))
    except OSError as error:
        raise InputError(f"no local issuer in {settings.issuer_dir}: recs up makes it, or recs token") from error
    issued = time.time() if now is None else now
    claims: dict[str, Any] = {
        "iss": settings.oauth_issuer,
        "aud": settings.oauth_audience,
        "sub": client,
        "client_id": client,
        "scope": " ".join(scopes),
        "iat": int(issued),
        "nbf": int(issued),
        "exp": int(issued + seconds),
    }
    if channel is not None:
        claims["channel"] = channel.value
    return jwt.encode({"alg": _ALGORITHM, "typ": "at+jwt", "kid": key.kid}, claims, key, algorithms=[_ALGORITHM])


def own_token(settings: Settings, *scopes: Scope) -> str | None:
    """What our own commands show the API: RECS_TOKEN, else one of the local issuer; None where there is neither."""
    given = settings.token.get_secret_value()
    if given:
        return given
    if settings.auth == "off" or settings.oauth_jwks is not None or not _signing(settings).exists():
        return None
    return issue(settings, scopes=scopes or [Scope.RECOMMENDATIONS_READ], client="recs", seconds=300)


def _signing(settings: Settings) -> Path:
    return settings.issuer_dir / "signing.json"


def _replace(path: Path, content: dict[str, Any], *, mode: int) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(orjson.dumps(content))
    draft.replace(path)
