"""Keyed hashes of who somebody is: the only form in which an outside id, or an erased person's id, is ever kept.

A hash is HMAC-SHA-256 (RFC 2104) under a chain of keys, each applied to the result of the one before:
`h = HMAC(key_n, … HMAC(key_2, HMAC(key_1, "client:" + id)))`. An HMAC cannot be undone, so keys rotate by one more
link: the new key hashes the hashes that are kept, which needs no export and touches nothing but the two tables of
hashes. Whoever knows an old key but not the newest one learns nothing. Ingest starts from the ids themselves, so it
needs every key of the chain; to be rid of an old one takes a full export of all clients and a crosswalk made anew.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from enum import StrEnum
from functools import reduce
from typing import Self

from data_contracts.errors import InputError
from data_contracts.settings import Settings

# Erased people's ids are compared by hash only within a bucket, the id modulo this: a hash a row would cost a night
# hours, and a bucket of 44M people still hides one among some hundred.
BUCKETS = 65_536
LONGEST_CLIENT_ID = 128


class IdKind(StrEnum):
    """What was hashed. The same digits as a client id and as an internal id give two hashes."""

    CLIENT = "client"
    USER = "user"


@dataclass(frozen=True)
class KeyChain:
    """The keys, oldest first."""

    keys: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Raises InputError without a key."""
        text = settings.identity_key.get_secret_value()
        keys = tuple(part.strip().encode() for part in text.split(",") if part.strip())
        if not keys:
            raise InputError("no identity key: set RECS_IDENTITY_KEY")
        return cls(keys)

    def digest(self, kind: IdKind, value: str) -> bytes:
        """32 bytes."""
        return self._chained(f"{kind}:{value}".encode(), self.keys)

    def continued(self, digest: bytes, *, made_by: str) -> bytes:
        """A digest kept under an earlier version of the chain as the newest keys make it."""
        return self._chained(digest, self.keys[self.position(made_by) :])

    @property
    def version(self) -> str:
        """Names the chain without giving anything away."""
        return self.versions[-1]

    @property
    def versions(self) -> tuple[str, ...]:
        """The names that the chain had with its first key, its first two, and so on."""
        prefixes = (self.keys[:length] for length in range(1, len(self.keys) + 1))
        return tuple(self._chained(b"version", prefix).hex()[:12] for prefix in prefixes)

    def position(self, version: str) -> int:
        """How many keys of the chain a version has. Raises InputError for one that is not of this chain."""
        if version not in self.versions:
            raise InputError(
                f"RECS_IDENTITY_KEY is not the key of this lake's identities (version {version}): "
                "give the keys they were made with, oldest first, separated by commas; a new key goes to the end"
            )
        return self.versions.index(version) + 1

    @staticmethod
    def _chained(message: bytes, keys: tuple[bytes, ...]) -> bytes:
        return reduce(lambda text, key: hmac.new(key, text, hashlib.sha256).digest(), keys, message)
