"""Slices of a test: which users, which items of their lists and which of what they met are looked at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from spark_jobs.candidates.base import NO_ITEM
from spark_jobs.evaluation.metrics import Mask, Relevant
from spark_jobs.evaluation.tecd_log import Clusters
from spark_jobs.features.history import ACTION_GROUPS, Ints, UserHistory, decayed_name
from spark_jobs.features.segments import ACTIVITY_HOURS, segments_of_unknown

# The tail is what is left without so many of the most popular items.
HEAD_ITEMS = 50
# Items up to which a history is short, and from which on it is long.
SHORT_ITEMS, LONG_ITEMS = 4, 20
# Test users that a segment needs, to say anything.
LEAST_USERS = 30


def without(codes: Ints, is_out: Mask) -> Ints:
    """Lists without some of their items, closed up; int32 [U, L] padded with -1."""
    gone = is_out | (codes < 0)
    order = np.argsort(gone, axis=1, kind="stable")
    closed: Ints = np.take_along_axis(np.where(gone, NO_ITEM, codes), order, axis=1)
    return closed


@dataclass(frozen=True)
class Panel:
    """U test users: their history (empty for some), the most popular items of everybody's, int32 [HEAD_ITEMS], those
    that enough users met to be learned from, int32, and the users' segments, int16 [U], where anybody asks.
    """

    history: UserHistory
    head: Ints
    n_items: int
    warm: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    segment: npt.NDArray[np.int16] = field(default_factory=lambda: np.empty(0, dtype=np.int16))

    @property
    def seen(self) -> Relevant:
        """Which items each met before."""
        return Relevant.of(self.history.rows, self.history.item_code, n_users=len(self.history), n_items=self.n_items)


@dataclass(frozen=True)
class Slice:
    """A slice keeps users by how many items are in their history, `least` to `most`, or by their segment, and leaves
    out some items, of lists and of what was met alike.
    """

    least: int
    left_out: Callable[[Panel, Ints], Mask]
    most: float = np.inf
    segment: int | None = None

    def users(self, panel: Panel) -> Mask:
        sizes = panel.history.sizes
        kept: Mask = (sizes >= self.least) & (sizes <= self.most)
        return kept if self.segment is None else kept & (panel.segment == self.segment)

    def lists(self, panel: Panel, codes: Ints) -> Ints:
        """Lists without what is left out, closed up; int32 [U, L] padded with -1."""
        return without(codes, self.left_out(panel, codes))

    def relevant(self, panel: Panel, relevant: Relevant) -> Relevant:
        rows, codes = np.divmod(relevant.keys, relevant.n_items)
        is_out = _of_pairs(self.left_out, panel, rows, codes.astype(np.int32))
        return Relevant(relevant.keys[~is_out], relevant.n_users, relevant.n_items)


def _nothing(_panel: Panel, codes: Ints) -> Mask:
    return np.zeros(codes.shape, dtype=bool)


def _head(panel: Panel, codes: Ints) -> Mask:
    return np.isin(codes, panel.head)


def _warm(panel: Panel, codes: Ints) -> Mask:
    return np.isin(codes, panel.warm)


def _seen(panel: Panel, codes: Ints) -> Mask:
    return panel.seen.hits(codes)


def _of_pairs(left_out: Callable[[Panel, Ints], Mask], panel: Panel, rows: npt.NDArray[np.int64], codes: Ints) -> Mask:
    """A mask of lists, asked for single pairs: each user's pairs are laid out as a list."""
    sizes = np.bincount(rows, minlength=len(panel.history))
    starts = np.cumsum(sizes) - sizes
    places = np.arange(len(rows)) - starts[rows]
    lists = np.full((len(panel.history), int(sizes.max(initial=0))), NO_ITEM, dtype=np.int32)
    lists[rows, places] = codes
    mask: Mask = left_out(panel, lists)[rows, places]
    return mask


SLICES: dict[str, Slice] = {
    "all": Slice(0, _nothing),
    "history": Slice(1, _nothing),
    "short": Slice(1, _nothing, most=SHORT_ITEMS),
    "middle": Slice(SHORT_ITEMS + 1, _nothing, most=LONG_ITEMS - 1),
    "long": Slice(LONG_ITEMS, _nothing),
    "tail": Slice(1, _head),
    "new": Slice(1, _seen),
    "cold": Slice(1, _warm),
}


def slices_of(panel: Panel) -> Mapping[str, Slice]:
    """`SLICES`, and one for each segment of enough users: `segment 46`."""
    numbers, users = np.unique(panel.segment, return_counts=True)
    told = numbers[users >= LEAST_USERS].tolist()
    return {**SLICES, **{f"segment {number}": Slice(0, _nothing, segment=number) for number in told}}


def segments_at(history: UserHistory, clusters: Clusters) -> npt.NDArray[np.int16]:
    """Segments [U] that the night would tell of the users of a history, if the bank knew nothing else of them."""
    decayed = [history.column(decayed_name(group, ACTIVITY_HOURS)) for group in ACTION_GROUPS]
    events = np.bincount(history.rows, np.sum(decayed, axis=0, dtype=np.float64), minlength=len(history))
    return segments_of_unknown(clusters.of(history.user_ids), events.astype(np.float64))
