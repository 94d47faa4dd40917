"""Exports that were written and not yet sent, asked about again: what a suppression, a stop or a contact has taken out.

The lists that were exported are decided again as bulk lists are, on what is served now; nothing is added or reordered.
What is taken out of a part stands beside it in `removed-<part>.csv`, and is not counted when the export was sent.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Self

import numpy as np
import pyarrow as pa

from api.bulk_chunks import Moments
from api.bulk_formats import Format
from api.bulk_lists import still_shown
from api.crowds import Crowd, Ground, Wanted, sent_after
from api.export_files import Folder, short_name, verified
from api.export_rows import PAIRS_HEAD, Block, Bools, Ints, again, blocks_of, pairs_csv, pairs_in
from api.serving import Serving
from api.watch import Watch
from data_contracts.columns import USER_ID
from data_contracts.contact_policy import contact_policy
from data_contracts.contacts import without_own
from data_contracts.errors import UnavailableError
from data_contracts.vocabulary import Channel, Kind
from sql.client import Store
from sql.contacts import Contacts
from sql.ranges import Rows
from sql.user_events import selected_events

_USERS_AT_ONCE = 1_000
_IN_MEMORY = 8 << 20
_BLOCK = 1 << 20
_NO_LISTS = pa.schema(
    [(USER_ID, pa.int64()), *((name, pa.list_(pa.int32())) for name in ("items", "scores", "reasons"))]
)


@dataclass(frozen=True)
class Prepared:
    """A written export: its id, folder, manifest, and what it was asked for."""

    export_id: str
    folder: Folder
    files: Mapping[str, Mapping[str, Any]]  # of the manifest, by the name each is asked for
    channel: Channel
    kind: Kind
    format: Format
    has_bom: bool

    @classmethod
    def of(cls, folder: Folder, manifest: Mapping[str, Any], request: Mapping[str, Any]) -> "Prepared":
        return cls(
            manifest["export_id"],
            folder,
            {short_name(one["name"]): one for one in manifest["files"]},
            Channel(request["channel"]),
            Kind(request["kind"]),
            Format(request["format"]),
            bool(request["bom"]),
        )

    @property
    def is_to_be_sent(self) -> bool:
        """Being listed is being sent: contacts are reserved."""
        return self.channel in contact_policy().sending

    @property
    def contacts(self) -> Contacts:
        return Contacts(self.export_id, self.channel.value)

    def blocks(self, name: str) -> Iterator[Block]:
        """Raises InputError for a file that is not what was exported."""
        with verified(self.folder, self.files[name]) as opened:
            yield from blocks_of(opened, self.format)


@dataclass(frozen=True)
class Check:
    """On what is served when it is asked."""

    watch: Watch
    prepared: Prepared

    def part(self, store: Store, name: str) -> IO[bytes]:
        """The part as it may be sent now, from its beginning. Raises UnavailableError."""
        out = _spool()
        writer = again(out, self.prepared.format, has_bom=self.prepared.has_bom)
        with self.removed(store, name, writer.write):
            pass
        writer.close()
        out.seek(0)
        return out

    def removed(self, store: Store, name: str, keep: Any = lambda *_: None) -> IO[bytes]:
        """What is taken out of a part, as lines of CSV, also left beside it; `keep` is told the rest."""
        out = _spool()
        for block in self.prepared.blocks(name):
            now = self._now(store, block)
            keep(block.where(now.stays), now.send_after[now.stays])
            out.write(pairs_csv(block.where(~now.stays)))
        out.seek(0)
        self.prepared.folder.publish(removed_name(name), _headed(out))
        out.seek(0)
        return out

    def known(self, store: Store, contacts: Sequence[tuple[int, str]]) -> Sequence[tuple[int, str]]:
        """Those of users who are still known: who was erased is not."""
        users = np.unique(np.array([user_id for user_id, _ in contacts], np.int64))
        there = set(states_of(store, self.watch.serving.snapshot_id, users)[USER_ID].to_pylist())
        return [one for one in contacts if one[0] in there]

    def _now(self, store: Store, block: Block) -> "_Now":
        """Of a block's rows [M]."""
        if not len(block):
            return _Now.unknown(0)
        serving = self.watch.serving
        if not self.watch.is_up or not serving.snapshot.is_whole:
            raise UnavailableError(self.watch.outage or "no snapshot is published")
        users, places = block.user_ids[block.starts], block.places
        row = np.repeat(np.arange(len(users)), np.diff(np.append(block.starts, len(block))))
        items = np.full((len(users), int(places.max()) + 1), -1, np.int32)
        items[row, places] = _codes(serving, block.item_ids, self.prepared.kind)
        ground = Ground(serving, Wanted(self.prepared.channel, self.prepared.kind, top_k=items.shape[1]))
        some = [slice(first, first + _USERS_AT_ONCE) for first in range(0, len(users), _USERS_AT_ONCE)]
        found = [self._of(store, ground, users[one], items[one]) for one in some]
        stays, after = (np.concatenate([getattr(one, name) for one in found]) for name in ("stays", "send_after"))
        return _Now(stays[row, places], after[row])

    def _of(self, store: Store, ground: Ground, users: Ints, items: Any) -> "_Now":
        """Of users in order of their ids; of whom nothing is known any more, nothing stays."""
        moment = self.watch.moment(ground.serving.snapshot)
        states = states_of(store, ground.serving.snapshot_id, users)
        now = _Now.unknown(*items.shape)
        if states.num_rows:
            is_there = np.isin(users, states[USER_ID].to_numpy())
            events = selected_events(
                store, "user_events_v1/of_users", user_ids=users.tolist(), cut_off=moment.cut_off_micros
            )
            events = without_own(events, self.prepared.export_id)
            rows = Rows(states, _NO_LISTS.empty_table(), events if events.num_rows else None)
            crowd = Crowd.of(ground, rows, moment)
            now.stays[is_there] = still_shown(ground, crowd, items[is_there])
            now.send_after[is_there] = sent_after(ground, crowd.users, moment)
        return now


@dataclass(frozen=True)
class _Now:
    """What stays of items [N, L], and from when on it may be sent to users [N]; of rows [M] and [M]."""

    stays: Bools
    send_after: Moments

    @classmethod
    def unknown(cls, *shape: int) -> Self:
        return cls(np.zeros(shape, np.bool_), np.full(shape[0], np.datetime64("NaT", "us")))


def contacts_in(prepared: Prepared, *, items: int) -> Iterator[list[tuple[int, str]]]:
    """User and item of the first `items` of every list, without what was removed of it."""
    for name in prepared.files:
        with prepared.folder.read(removed_name(name)) as opened:
            gone = pairs_in(opened)
            next_gone, last, count = next(gone, None), -1, 0
            for block in prepared.blocks(name):
                found = []
                for pair in zip(block.user_ids.tolist(), block.item_ids.to_pylist(), strict=True):
                    if pair == next_gone:
                        next_gone = next(gone, None)
                        continue
                    last, count = pair[0], count + 1 if pair[0] == last else 1
                    if count <= items:
                        found.append(pair)
                yield found


def states_of(store: Store, snapshot_id: str, users: Ints) -> pa.Table:
    return store.table("user_state_v1/lookup", snapshot_id=snapshot_id, user_ids=users.tolist()).sort_by(USER_ID)


def removed_name(part: str) -> str:
    return f"removed-{part.rpartition('.')[0]}.csv"


def digest_of(file: IO[bytes]) -> tuple[int, bytes]:
    """Size and SHA-256 of a file, which is at its beginning before and after."""
    digest = hashlib.sha256()
    while block := file.read(_BLOCK):
        digest.update(block)
    size = file.tell()
    file.seek(0)
    return size, digest.digest()


def bytes_of(*files: IO[bytes]) -> Iterator[bytes]:
    """One after another; each is closed at its end."""
    for file in files:
        with file:
            while block := file.read(_BLOCK):
                yield block


def _headed(pairs: IO[bytes]) -> Iterator[bytes]:
    yield PAIRS_HEAD
    while block := pairs.read(_BLOCK):
        yield block


def _spool() -> IO[bytes]:
    return tempfile.SpooledTemporaryFile(_IN_MEMORY)


def _codes(serving: Serving, item_ids: pa.StringArray, kind: Kind) -> Ints:
    """Product positions or item codes of now, -1 for what is no longer known."""
    known = serving.policy.position if kind is Kind.PRODUCT else serving.snapshot.offer_codes
    found = item_ids.dictionary_encode()
    codes = np.array([known.get(one, -1) for one in found.dictionary.to_pylist()], np.int64)
    return np.asarray(codes[found.indices.to_numpy()])
