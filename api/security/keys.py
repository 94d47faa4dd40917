"""The issuer's public keys (JWKS), by URL or file: cached, read again in the background, and for a key not yet seen.

When the issuer is away the keys at hand go on holding. Only asymmetric keys are taken, whatever the set says.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import urllib3
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from api.security.errors import no_keys
from api.threads import at_once
from data_contracts.errors import InputError, UnavailableError

_LOG = logging.getLogger("recs.api")
_FETCH_SECONDS = 3.0
_LARGEST_BYTES = 1_000_000
_SHORTEST_RSA_BITS = 2048
_LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}
_KINDS: Mapping[str, type[RSAKey | ECKey | OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}

PublicKey = RSAKey | ECKey | OKPKey


class Keys:
    """`again_seconds`: the shortest time between two looks for a key nobody has seen.

    `version` grows whenever the keys differ: what was concluded from older ones no longer holds.
    """

    def __init__(
        self,
        source: str,
        *,
        refresh_seconds: float,
        again_seconds: float,
        read: Callable[[str], bytes] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        refuse_insecure(source)
        self._source = source
        self._refresh_seconds = refresh_seconds
        self._again_seconds = again_seconds
        self._read = read or read_document
        self._monotonic = monotonic
        self._looked_at = float("-inf")
        self._looks = 0
        self._looking = asyncio.Lock()
        self._behind: asyncio.Task[None] | None = None
        self._document: bytes = b""
        self._keys: Mapping[str, PublicKey] = {}
        self.version = 0

    async def key(self, kid: str) -> PublicKey | None:
        """The key of a name; None for one the issuer does not have. Raises Refused (503) before any were had."""
        if kid not in self._keys and self._age >= self._again_seconds:
            await self.look()
        if not self._keys:
            raise no_keys(retry_seconds=self._again_seconds)
        return self._keys.get(kid)

    def stay_fresh(self) -> None:
        """Look again behind the callers' backs when the keys are old. Costs nothing when they are not."""
        if self._age >= self._refresh_seconds and (self._behind is None or self._behind.done()):
            self._behind = asyncio.create_task(self.look())

    async def look(self) -> None:
        """Read the keys; never raises. Who comes while somebody looks waits for what they find."""
        looks = self._looks
        async with self._looking:
            if self._looks != looks:
                return
            try:
                document = await at_once(self._read, self._source)
                if document != self._document:
                    self._keys = parsed(document)
                    self._document = document
                    self.version += 1
                    _LOG.info("%d keys of the issuer at %s", len(self._keys), self._source)
            except (InputError, UnavailableError) as error:
                _LOG.warning("the issuer's keys: %s; %d older ones hold", error, len(self._keys))
            self._looks += 1
            self._looked_at = self._monotonic()

    @property
    def _age(self) -> float:
        return self._monotonic() - self._looked_at


def refuse_insecure(source: str) -> None:
    """Raises InputError for keys that anybody on the way could replace."""
    url = urlsplit(source)
    if url.scheme == "http" and url.hostname not in _LOCAL_HOSTS:
        raise InputError("RECS_OAUTH_JWKS must be https, or a file: who can change the keys can sign any token")


def read_document(source: str) -> bytes:
    """The bytes at a URL or path. Raises UnavailableError."""
    try:
        if urlsplit(source).scheme in ("http", "https"):
            return _fetched(source)
        return Path(source.removeprefix("file://")).read_bytes()
    except (OSError, urllib3.exceptions.HTTPError) as error:
        raise UnavailableError(f"{source} cannot be read: {type(error).__name__}") from error


def parsed(document: bytes) -> Mapping[str, PublicKey]:
    """The usable keys of a set by name. Raises InputError for what is no set of keys."""
    try:
        entries = orjson.loads(document)["keys"]
        found = {entry["kid"]: key for entry in entries if (key := _usable(entry)) is not None}
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"not a JWKS: {type(error).__name__}") from error
    if not found:
        raise InputError("the JWKS holds no key that could verify a signature")
    return found


def _usable(entry: Mapping[str, Any]) -> PublicKey | None:
    """None for symmetric keys, keys for encryption, without a name, short, or of kinds not known here."""
    kind = _KINDS.get(entry["kty"])
    if kind is None or entry.get("use", "sig") != "sig" or not isinstance(entry.get("kid"), str):
        return None
    try:
        key = kind.import_key({name: value for name, value in entry.items() if name not in _PRIVATE})
    except (JoseError, ValueError):
        return None
    if isinstance(key, RSAKey) and key.public_key.key_size < _SHORTEST_RSA_BITS:
        return None
    return key


_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


def _fetched(url: str) -> bytes:
    with urllib3.PoolManager() as pool:
        # No redirects: they could lead off https.
        answer = pool.request("GET", url, timeout=_FETCH_SECONDS, retries=False, redirect=False, preload_content=False)
        body = answer.read(_LARGEST_BYTES)
        if answer.status != 200:
            raise UnavailableError(f"{url} answers {answer.status}")
        return body
