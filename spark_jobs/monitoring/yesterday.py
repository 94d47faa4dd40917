"""A snapshot beside the one before it: how much lists turned over, and how far scores moved.

A hash of the user chooses who is compared, so that the same users are looked at in both however large they are.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_contracts.checksums import mix
from data_contracts.columns import (
    ITEM_CODE,
    ITEM_ID,
    OFFER_ITEMS,
    OFFER_SCORES,
    PRODUCT_ITEMS,
    PRODUCT_SCORES,
    USER_ID,
)
from data_contracts.scores import log_odds
from spark_jobs.lake.snapshot_files import personal_lists, snapshot_before, snapshot_table
from spark_jobs.monitoring.drift import ks, psi
from spark_jobs.monitoring.overlap import rank_biased_overlap

USERS_COMPARED = 100_000
# Of fewer users an average says little: nothing is compared.
FEWEST_USERS = 100
_LONGEST = 20
# Of a list without any item; stored scores begin at 0.
NO_SCORE = -1
_COLUMNS = {"product": (PRODUCT_ITEMS, PRODUCT_SCORES), "offer": (OFFER_ITEMS, OFFER_SCORES)}


@dataclass(frozen=True)
class Change:
    """Of one kind of item. since: id of the snapshot then; overlap: mean rank-biased overlap; drift, ks, means: of the
    best score's log odds.
    """

    since: str
    users: int
    overlap: float
    drift: float
    ks: float
    mean: float
    mean_then: float


@dataclass(frozen=True)
class Sampled:
    """Personal lists of a share of a snapshot's users, and its items (items,) in order of their codes."""

    lists: pa.Table
    items: NDArray[np.str_]


# Questions of the gate about how a kind of item changed: what was let pass of one is held against that night.
CHANGES: Mapping[str, str] = {f"{kind}_{what}": kind for kind in _COLUMNS for what in ("overlap", "score_drift")}
KINDS = tuple(_COLUMNS)


def sampled(snapshot: str, *, users: int) -> Sampled:
    """About `USERS_COMPARED` of `users`, the same ones of any snapshot."""
    return Sampled(_sample(snapshot, min(1.0, USERS_COMPARED / max(users, 1))), _item_ids(snapshot))


def changes_since(lake: str, as_of: date, now: Sampled, *, users: int) -> dict[str, Change]:
    """By question of `CHANGES`, since the night that it is held against; those are left out which have none."""
    bases = {check: snapshot_before(lake, as_of, check) for check in CHANGES}
    found = {base: changes(now, sampled(base, users=users), since=base) for base in {*bases.values()} if base}
    return {
        check: found[base][CHANGES[check]] for check, base in bases.items() if base and CHANGES[check] in found[base]
    }


def changes(now: Sampled, then: Sampled, *, since: str) -> dict[str, Change]:
    """By kind, of the users of both. Empty where too few are in both. since: URI of the snapshot then."""
    common, here, there = np.intersect1d(_ids(now.lists), _ids(then.lists), return_indices=True)
    if len(common) < FEWEST_USERS:
        return {}
    _, code = np.unique(np.concatenate([now.items, then.items]), return_inverse=True)
    codes_now, codes_then = np.split(code.astype(np.int32), [len(now.items)])
    found = {}
    for kind, (names, scores) in _COLUMNS.items():
        lists = (
            _padded(now.lists.column(names), codes_now)[here],
            _padded(then.lists.column(names), codes_then)[there],
        )
        ours, theirs = (known_odds(best_scores(one.lists.column(scores))) for one in (now, then))
        overlap = float(rank_biased_overlap(*lists).mean())
        means = mean_of_known(ours), mean_of_known(theirs)
        found[kind] = Change(
            since.rpartition("/")[2], len(common), overlap, psi(theirs, ours), ks(theirs, ours), *means
        )
    return found


def _sample(snapshot: str, share: float) -> pa.Table:
    columns = [USER_ID, *(name for names in _COLUMNS.values() for name in names)]

    def chosen() -> Iterator[pa.RecordBatch]:
        for batch in personal_lists(snapshot):
            drawn = mix(batch.column(USER_ID).to_numpy().view(np.uint64)) <= np.uint64(share * (2**64 - 1025))
            yield batch.select(columns).filter(pa.array(drawn))

    return pa.Table.from_batches(list(chosen())).combine_chunks()


def _ids(lists: pa.Table) -> NDArray[np.int64]:
    return np.asarray(lists.column(USER_ID).to_numpy(), np.int64)


def _item_ids(snapshot: str) -> NDArray[np.str_]:
    """In order of their codes."""
    items = snapshot_table(snapshot, "items").sort_by(ITEM_CODE)
    return np.asarray(items.column(ITEM_ID).to_numpy(zero_copy_only=False), np.str_)


def _padded(lists: pa.ChunkedArray, codes: NDArray[np.int32]) -> NDArray[np.int32]:
    """(n, 20) the items' common codes, -1 where a list has ended."""
    array = lists.combine_chunks()
    sizes = np.diff(array.offsets.to_numpy())
    padded = np.full((len(sizes), _LONGEST), -1, np.int32)
    padded[np.arange(_LONGEST) < sizes[:, None]] = codes[array.flatten().to_numpy()]
    return padded


def best_scores(scores: pa.ChunkedArray) -> NDArray[np.int64]:
    """(n,) each list's highest stored score; NO_SCORE of empty lists."""
    array = scores.combine_chunks()
    offsets = array.offsets.to_numpy()
    starts, sizes = offsets[:-1] - offsets[0], np.diff(offsets)
    best = np.full(len(sizes), NO_SCORE, np.int64)
    if sizes.any():
        best[sizes > 0] = np.maximum.reduceat(array.flatten().to_numpy(), starts[sizes > 0])
    return best


def known_odds(best: NDArray[np.int64]) -> NDArray[np.float64]:
    """Log odds of `best_scores`; NaN of empty lists."""
    return np.where(best == NO_SCORE, np.nan, log_odds(best))


def mean_of_known(values: NDArray[Any]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else 0.0
