"""A bearer token to its principal: signature by the issuer's keys, then the claims.

What was verified is remembered until it expires or the keys change, since a signature costs more than a look-up.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError

from api.security import claims
from api.security.errors import Refused, bad_token
from api.security.keys import Keys, PublicKey
from api.security.principal import Principal

_LONGEST_TOKEN = 8_192
_REMEMBERED = 10_000


class Verifier:
    def __init__(self, keys: Keys, expected: claims.Expected, *, algorithms: Sequence[str]) -> None:
        self.keys = keys
        self._expected = expected
        self._algorithms = list(algorithms)
        self._remembered: dict[bytes, Principal] = {}
        self._keys_version = 0

    async def principal(self, token: str, *, now: float) -> Principal:
        """Raises Refused: 401 for a token that does not hold, 503 when there are no keys to tell."""
        self.keys.stay_fresh()
        self._forget_older_keys()
        digest = hashlib.sha256(token.encode()).digest()
        known = self._remembered.get(digest)
        if known is not None:
            claims.refuse_out_of_time(known, now=now)
            return known
        found = await self._verified(token, now=now)
        self._forget_older_keys()
        if len(self._remembered) >= _REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[digest] = found
        return found

    async def _verified(self, token: str, *, now: float) -> Principal:
        if len(token) > _LONGEST_TOKEN:
            raise bad_token("too long")
        header = _header(token)
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in self._algorithms:
            raise bad_token("signed with an algorithm that is not allowed")
        claims.check_type(header)
        key = await self.keys.key(kid) if isinstance(kid, str) else None
        if key is None:
            raise bad_token("signed with a key that the issuer does not have")
        if key.alg not in (None, algorithm):
            raise bad_token("signed with another algorithm than its key is for")
        return claims.principal(self._claims(token, key), self._expected, now=now)

    def _claims(self, token: str, key: PublicKey) -> dict[str, Any]:
        try:
            return jwt.decode(token, key, algorithms=self._algorithms).claims
        except Exception as error:
            raise _unreadable(error) from None

    def _forget_older_keys(self) -> None:
        if self._keys_version != self.keys.version:
            self._remembered.clear()
            self._keys_version = self.keys.version


def _header(token: str) -> dict[str, Any]:
    """What the token says of itself; nothing of it is trusted."""
    try:
        return jws.extract_compact(token.encode()).headers()
    except Exception as error:
        raise _unreadable(error) from None


def _unreadable(error: Exception) -> Refused:
    # Whatever a forged token makes a parser do, it is a token that does not hold, and its bytes go nowhere.
    return bad_token("its signature does not hold" if isinstance(error, JoseError) else "not a JWT")
