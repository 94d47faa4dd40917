"""Figures of one slice of a test: every source's metrics with intervals, comparisons, and what is personal in them.

Of the ranker, the only source that tells probabilities, also how good these are: of all pairs on its lists before they
are cut to k, of every user of the slice, whether or not the user met anything.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spark_jobs.candidates.base import NO_ITEM
from spark_jobs.evaluation.intervals import Estimate, bootstrap
from spark_jobs.evaluation.metrics import METRICS, Doubles, Relevant, coverage, ndcg, novelty
from spark_jobs.evaluation.probabilities import Cases, probability_figures
from spark_jobs.evaluation.slices import HEAD_ITEMS, Panel, Slice
from spark_jobs.features.history import Events, Floats, Ints, Longs, UserHistory, members

RANKED = "ranked"
# Paired differences, reported as a source of their own: `ranked-blend`.
_SINGLE = ("popular", "repeat", "als", "itemcf")
COMPARED = ((RANKED, "blend"), (RANKED, "popular"), *(("fused", name) for name in (*_SINGLE, "blend")))
# So that the intervals of two reports differ by their data only.
_BOOTSTRAP_SEED = 20240229

Lists = Mapping[str, Ints]


@dataclass(frozen=True)
class Dealt:
    """What U users are dealt: each source's lists, int32 [U, L], and how probable the items of `RANKED` are, float32
    [U, L].
    """

    lists: Lists
    probability: Floats


def head_items(history: UserHistory) -> Ints:
    """The most popular items, by distinct users, then code."""
    users = np.bincount(history.item_code)
    order: Ints = np.lexsort((np.arange(len(users)), -users))[:HEAD_ITEMS].astype(np.int32)
    return order


def warm_items(history: UserHistory, *, min_users: int) -> Ints:
    """Items that so many users met, in order of their codes."""
    warm: Ints = np.flatnonzero(np.bincount(history.item_code) >= min_users).astype(np.int32)
    return warm


def share_met(history: UserHistory, *, n_items: int) -> Doubles:
    """Of all users, who met each item, [n_items]; as if half a user more had met each, so that novelty is finite."""
    share: Doubles = (np.bincount(history.item_code, minlength=n_items) + 0.5) / (len(history) + 1.0)
    return share


def relevant_items(test: Events, users: Longs, *, label: str, n_items: int) -> Relevant:
    counted = test if label == "any" else test.take(members(label)[test.action])
    rows = np.searchsorted(users, counted.user_id)
    return Relevant.of(rows, counted.item_code, n_users=len(users), n_items=n_items)


def slice_figures(
    chosen: Slice, panel: Panel, relevant: Relevant, dealt: Sequence[Dealt], *, share: Doubles, k: int
) -> dict[str, dict[str, Estimate]]:
    """Estimates of a slice: source -> metric -> estimate, over the seeds. share: of users who met each known item."""
    met = chosen.relevant(panel, relevant)
    users = np.flatnonzero(chosen.users(panel) & (met.sizes > 0))
    columns: dict[tuple[str, str], list[Doubles]] = defaultdict(list)
    covered: dict[str, list[float]] = defaultdict(list)
    for one in dealt:
        for source, codes in one.lists.items():
            top = chosen.lists(panel, codes)[:, :k]
            hits = met.hits(top)[users]
            for metric, measure in METRICS.items():
                columns[source, metric].append(measure(hits, met.sizes[users]))
            columns[f"{source} dealt", "ndcg"].append(ndcg(met.hits(_dealt(top, users))[users], met.sizes[users]))
            columns[source, "novelty"].append(novelty(top[users], share))
            covered[source].append(coverage(top[users], n_items=len(share)))
    for left, right in COMPARED:
        differences = zip(columns[left, "ndcg"], columns[right, "ndcg"], strict=True)
        columns[f"{left}-{right}", "ndcg"] = [own - other for own, other in differences]
    figures = _estimates(columns, covered, users=len(users), k=k)
    figures[RANKED] |= _over_seeds([probability_figures(_cases(chosen, panel, met, one)) for one in dealt])
    return figures


def _cases(chosen: Slice, panel: Panel, met: Relevant, one: Dealt) -> Cases:
    codes = one.lists[RANKED]
    asked = (codes != NO_ITEM) & ~chosen.left_out(panel, codes) & chosen.users(panel)[:, None]
    user_ids = panel.history.user_ids[np.nonzero(asked)[0]]
    return Cases(user_ids, one.probability[asked].astype(np.float64), met.hits(codes)[asked])


def _over_seeds(seeds: Sequence[Mapping[str, Estimate]]) -> dict[str, Estimate]:
    """Means of the seeds' values and of the ends of their intervals, of what all of them define."""
    told = {name: [one[name] for one in seeds] for name in seeds[0] if all(name in one for one in seeds)}
    return {name: _mean(estimates) for name, estimates in told.items()}


def _mean(seeds: Sequence[Estimate]) -> Estimate:
    value, low, high = np.mean([(one.value, one.low, one.high) for one in seeds], axis=0).tolist()
    return Estimate(value, low, high, seeds[0].users, tuple(one.value for one in seeds))


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
