"""Figures of one slice of a test: every source's metrics with intervals, comparisons, and what is personal in them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from spark_jobs.evaluation.intervals import Estimate, bootstrap
from spark_jobs.evaluation.metrics import METRICS, Doubles, Relevant, coverage, ndcg
from spark_jobs.evaluation.slices import HEAD_ITEMS, Panel, Slice
from spark_jobs.features.history import Events, Ints, Longs, UserHistory, members

# Paired differences, reported as a source of their own: `ranked-blend`.
_SINGLE = ("popular", "repeat", "als", "itemcf")
COMPARED = (("ranked", "blend"), ("ranked", "popular"), *(("fused", name) for name in (*_SINGLE, "blend")))
# So that the intervals of two reports differ by their data only.
_BOOTSTRAP_SEED = 20240229

Lists = Mapping[str, Ints]


def head_items(history: UserHistory) -> Ints:
    """The most popular items, by distinct users, then code."""
    users = np.bincount(history.item_code)
    order: Ints = np.lexsort((np.arange(len(users)), -users))[:HEAD_ITEMS].astype(np.int32)
    return order


def warm_items(history: UserHistory, *, min_users: int) -> Ints:
    """Items that so many users met, in order of their codes."""
    warm: Ints = np.flatnonzero(np.bincount(history.item_code) >= min_users).astype(np.int32)
    return warm


def relevant_items(test: Events, users: Longs, *, label: str, n_items: int) -> Relevant:
    counted = test if label == "any" else test.take(members(label)[test.action])
    rows = np.searchsorted(users, counted.user_id)
    return Relevant.of(rows, counted.item_code, n_users=len(users), n_items=n_items)


def slice_figures(
    chosen: Slice, panel: Panel, relevant: Relevant, dealt: Sequence[Lists], *, known_items: int, k: int
) -> dict[str, dict[str, Estimate]]:
    """Estimates of a slice: source -> metric -> estimate, over the seeds' lists."""
    met = chosen.relevant(panel, relevant)
    users = np.flatnonzero(chosen.users(panel) & (met.sizes > 0))
    columns: dict[tuple[str, str], list[Doubles]] = defaultdict(list)
    covered: dict[str, list[float]] = defaultdict(list)
    for lists in dealt:
        for source, codes in lists.items():
            top = chosen.lists(panel, codes)[:, :k]
            hits = met.hits(top)[users]
            for metric, measure in METRICS.items():
                columns[source, metric].append(measure(hits, met.sizes[users]))
            columns[f"{source} dealt", "ndcg"].append(ndcg(met.hits(_dealt(top, users))[users], met.sizes[users]))
            covered[source].append(coverage(top[users], n_items=known_items))
    for left, right in COMPARED:
        differences = zip(columns[left, "ndcg"], columns[right, "ndcg"], strict=True)
        columns[f"{left}-{right}", "ndcg"] = [own - other for own, other in differences]
    return _estimates(columns, covered, users=len(users), k=k)


def _dealt(top: Ints, users: Longs) -> Ints:
    """Each user gets the list of the one before: what still hits is not personal."""
    swapped = np.full_like(top, -1)
    swapped[users] = top[np.roll(users, 1)]
    return swapped


def _estimates(
    columns: Mapping[tuple[str, str], Sequence[Doubles]], covered: Mapping[str, Sequence[float]], *, users: int, k: int
) -> dict[str, dict[str, Estimate]]:
    """A user's number is the mean over the seeds; so is a coverage, whose interval is the range of the seeds."""
    means = np.stack([np.mean(seeds, axis=0) for seeds in columns.values()], axis=1)
    figures: dict[str, dict[str, Estimate]] = defaultdict(dict)
    for ((source, metric), seeds), estimate in zip(
        columns.items(), bootstrap(means, seed=_BOOTSTRAP_SEED), strict=True
    ):
        by_seed = tuple(float(one.mean()) for one in seeds) if users else ()
        figures[source][f"{metric}@{k}"] = replace(estimate, seeds=by_seed)
    for source, shares in covered.items():
        mean = float(np.mean(shares))
        figures[source][f"coverage@{k}"] = Estimate(mean, min(shares), max(shares), users, tuple(shares))
    return dict(figures)
