"""What the day asks of the database: one seam, so that everything above it runs on a fake in tests.

Item codes are positions in a snapshot's items; scores and reasons are as stored (see data_contracts.scores and
`reason_codes`). Every method raises UnavailableError when the database does not answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_contracts.catalogue import Catalogue, Reasons, Rules
from data_contracts.columns import FAMILY, ITEM_ID, KIND, NAME_EN, NAME_RU
from data_contracts.vocabulary import Channel, Kind, Variant

# A snapshot's items in order of their codes: the row number is the code.
ITEMS = pa.schema([(name, pa.string()) for name in (ITEM_ID, KIND, FAMILY, NAME_EN, NAME_RU)])


@dataclass(frozen=True)
class Ranked:
    """One kind's list, best first; the three sequences have equal length."""

    items: Sequence[int] = ()
    scores: Sequence[int] = ()
    reasons: Sequence[int] = ()


@dataclass(frozen=True)
class Lists:
    """`variants`: a user's other lists, which some experiment's arm may choose instead; what they lack is empty."""

    products: Ranked = Ranked()
    offers: Ranked = Ranked()
    variants: Mapping[Variant, "Lists"] = field(default_factory=dict)

    def of(self, kind: Kind) -> Ranked:
        return self.products if kind is Kind.PRODUCT else self.offers


@dataclass(frozen=True)
class UserState:
    """A row of `user_state`, with its sentinels for unknown values. `holdings` are item codes."""

    segment: int = 0
    holdings: Sequence[int] = ()
    birth_year: int = 0
    region: int = -1
    income_band: int = -1
    employment: str = ""
    score_band: int = 0
    arrears_days: int = -1
    consents: int = 0


@dataclass(frozen=True)
class Found:
    """Of the users asked for. `events`: what the overlay needs (data_contracts.overlay.EVENTS); None for none."""

    states: Mapping[int, UserState] = field(default_factory=dict)
    lists: Mapping[int, Lists] = field(default_factory=dict)
    events: pa.Table | None = None


@dataclass(frozen=True)
class FallbackLists:
    popular: Lists = Lists()
    segments: Mapping[int, Lists] = field(default_factory=dict)


@dataclass(frozen=True)
class Pointers:
    """What serving follows. `snapshot_id` is "" before the first; `rules_seq` moves with the approved rule set."""

    snapshot_id: str = ""
    rules_seq: int = 0
    blocks: frozenset[str] = frozenset()


@dataclass(frozen=True)
class RuleSet:
    catalogue: Catalogue
    rules: Rules
    reasons: Reasons


@dataclass(frozen=True)
class SnapshotRow:
    snapshot_id: str
    state: str
    moved_at: datetime


@dataclass(frozen=True)
class PortraitFeature:
    """One feature of a product's holders beside everyone; None where nothing is known."""

    feature: str
    holders: int
    holders_mean: float | None
    everyone_mean: float | None


@dataclass(frozen=True)
class Reopened:
    """Hashes of users of whom something was lifted a moment ago, and of those by channel who are out nevertheless."""

    users: NDArray[np.uint32]
    still_out: Mapping[Channel, NDArray[np.uint32]]


class Store(Protocol):
    async def pointers(self) -> Pointers: ...

    async def rule_set(self) -> RuleSet | None:
        """The newest approved one; None before the first."""

    async def snapshot_items(self, snapshot_id: str) -> pa.Table:
        """A table of schema ITEMS."""

    async def fallback_lists(self, snapshot_id: str) -> FallbackLists: ...

    async def look_up(self, snapshot_id: str, user_ids: Sequence[int], *, cut_off: int) -> Found:
        """Policy data of those users who have any; personal lists, with those of other variants, of who has such; and
        streamed events. `cut_off`: the snapshot's, in microseconds.
        """

    async def opted_out(self, snapshot_id: str, *, key: str) -> Mapping[Channel, NDArray[np.uint32]]:
        """Who may not be addressed in the app's channels: hashes made with `key` (api.opted_out), in any order."""

    async def newly_suppressed(self, *, key: str) -> Mapping[Channel, NDArray[np.uint32]]:
        """Who was suppressed in the app's channels, wholly or in part, within the last minutes; hashes as above."""

    async def newly_lifted(self, snapshot_id: str, *, key: str) -> Reopened:
        """Of whom a suppression was lifted within the last minutes; hashes as above."""

    async def overlay_lag(self) -> float | None:
        """Seconds that stored events are behind those that came; None where nobody was ever seen to store any."""

    async def snapshots(self) -> Sequence[SnapshotRow]:
        """Snapshots that the database holds, newest first."""

    async def portrait(self, snapshot_id: str, product_id: str) -> Sequence[PortraitFeature]:
        """By feature; empty where the snapshot has none of the product."""

    async def close(self) -> None: ...
