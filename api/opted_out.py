"""Who does not want to be addressed in the app or on the web, as far as this service has heard: for the static tier.

While users cannot be looked up they are answered as somebody unknown, and who is in here is shown nothing. Of a user
and channel 32 bits of a keyed hash are kept, in memory and on disk: 40 MB for ten million, for whom one of 430 others
is taken and shown nothing either. Read anew once a minute: an opt-out of the last minute before an outage may be
missed, and a new consent counts from the next night on. New suppressions, of a product alone too, and lifts are looked
for every second; a lift may open it for that one of 430 others too, until the next reading. CRM needs none of this: it
shows nothing to who is unknown.
"""

import asyncio
import hashlib
import hmac
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from api.store import Reopened, Store
from api.threads import at_once
from data_contracts.errors import RecsError
from data_contracts.vocabulary import Channel

_LOG = logging.getLogger("recs.api")

CHANNELS = (Channel.MOBILE, Channel.WEB)
Hashes = NDArray[np.uint32]
_EVERY_SECONDS, _AGAIN_SECONDS = 60.0, 5.0
_READ_SECONDS, _LOOK_SECONDS = 60.0, 1.0


def derived_key(key: bytes) -> str:
    """What ClickHouse is told to hash with: nothing that could sign."""
    return hmac.digest(key, b"opted out", "sha256").hex()


def user_hash(key: str, user_id: int) -> int:
    """As the statements `opted_out` make it."""
    return int.from_bytes(hashlib.sha256(f"{key}{user_id}".encode()).digest()[:4], "little")


@dataclass(frozen=True)
class OptedOut:
    """`hashes` are sorted, each once."""

    hashes: Mapping[Channel, Hashes]

    @classmethod
    def of(cls, found: Mapping[Channel, Hashes]) -> Self:
        return cls({channel: np.unique(hashes) for channel, hashes in found.items()})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Nobody where there is no such file, or a broken one."""
        try:
            with np.load(path, allow_pickle=False) as kept:
                return cls({channel: kept[channel.value].astype(np.uint32) for channel in CHANNELS})
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            _LOG.warning("%s: nobody is known to have opted out: %s", path, error)
        return cls({})

    def save(self, path: Path) -> None:
        draft = path.with_name(f"{path.stem}.{os.getpid()}.npz")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(draft, **{channel.value: hashes for channel, hashes in self.hashes.items()})
        draft.replace(path)

    def includes(self, hashed: int, channel: Channel) -> bool:
        hashes = self.hashes.get(channel)
        if hashes is None or not len(hashes):
            return False
        place = int(np.searchsorted(hashes, np.uint32(hashed)))
        return place < len(hashes) and int(hashes[place]) == hashed

    def also(self, found: Mapping[Channel, Hashes]) -> Self:
        """With these; itself where it has them all."""
        if all(self.includes(int(one), channel) for channel, hashes in found.items() for one in hashes):
            return self
        nobody = np.zeros(0, np.uint32)
        return self.of({name: np.append(self.hashes.get(name, nobody), found.get(name, nobody)) for name in CHANNELS})

    def without(self, hashed: int) -> Self:
        return type(self)({channel: hashes[hashes != hashed] for channel, hashes in self.hashes.items()})

    def reopened(self, lifted: Reopened) -> Self:
        """Without whom a lift has opened a channel to; itself where nobody of these is in it any more."""
        nobody = np.zeros(0, np.uint32)
        gone = {name: np.setdiff1d(lifted.users, lifted.still_out.get(name, nobody)) for name in self.hashes}
        if not any(self.includes(int(one), channel) for channel, hashes in gone.items() for one in hashes):
            return self
        return type(self)({name: hashes[~np.isin(hashes, gone[name])] for name, hashes in self.hashes.items()})


class OptOuts:
    """Keeps it current. Begins with what the last service left on disk."""

    def __init__(self, store: Store, *, key: bytes, path: Path) -> None:
        self._store = store
        self._key = derived_key(key)
        self._path = path
        self.known = OptedOut.load(path)

    def includes(self, user_id: int, channel: Channel) -> bool:
        return self.known.includes(user_hash(self._key, user_id), channel)

    async def run(self, snapshot_id: Callable[[], str]) -> None:
        """Read for good, of the snapshot that is served."""
        while True:
            is_read = await self.read(snapshot_id())
            await asyncio.sleep(_EVERY_SECONDS if is_read else _AGAIN_SECONDS)

    async def watch(self, snapshot_id: Callable[[], str]) -> None:
        """Look for new suppressions and lifts for good."""
        while True:
            await self._look(snapshot_id())
            await asyncio.sleep(_LOOK_SECONDS)

    async def _look(self, snapshot_id: str) -> None:
        try:
            async with asyncio.timeout(_AGAIN_SECONDS):
                lifted = await self._store.newly_lifted(snapshot_id, key=self._key)
                found = await self._store.newly_suppressed(key=self._key)
            self.known = self.known.reopened(lifted).also(found)
        except (TimeoutError, RecsError) as error:
            _LOG.debug("new suppressions and lifts cannot be read: %s", error)
        except Exception:  # else nobody would look for them any more
            _LOG.exception("new suppressions and lifts cannot be read")

    async def read(self, snapshot_id: str) -> bool:
        """Whether it could be read; else what is known stays."""
        try:
            async with asyncio.timeout(_READ_SECONDS):
                found = await self._store.opted_out(snapshot_id, key=self._key)
            self.known = await at_once(OptedOut.of, found)
            await self._look(snapshot_id)  # for what came while that was read
            await at_once(self.known.save, self._path)
        except (TimeoutError, RecsError) as error:
            _LOG.debug("who opted out cannot be read: %s", error)
            return False
        except OSError as error:
            _LOG.warning("who opted out cannot be saved: %s", error)
        except Exception:
            _LOG.exception("who opted out cannot be read")
            return False
        return True


def opted_out_path(data_dir: Path) -> Path:
    return data_dir / "api" / "opted_out.npz"
