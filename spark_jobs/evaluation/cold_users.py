"""Users held out from training, of whom only the segment is told: how good the list of the segment tier is for them.

Users fall into halves. Each half is shown what the other teaches: its openings in the windows before the test, and its
profiles and portraits as of the test. `blended` is what a night makes (`candidates.strangers`); `segment` and `popular`
are the rates of the segment, drawn to everybody's where users are few, and of everybody.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from spark_jobs.candidates.strangers import Doubles
from spark_jobs.evaluation.intervals import Estimate, bootstrap
from spark_jobs.evaluation.metrics import Mask, Relevant, graded_ndcg, ndcg, recall
from spark_jobs.evaluation.product_figures import best_products
from spark_jobs.evaluation.rolling import SeenUsers, learned_rates
from spark_jobs.ranking.boosting import uniform

_COMPARED = ("segment", "popular")
_SEED = 20240229


def cold_users(seen: Sequence[SeenUsers], *, k: int) -> Mapping[str, Mapping[str, Estimate]]:
    """By model and metric: estimates over the held-out users of all folds who opened something. seen: the newest first.

    Lists are of eligible products: by rate (`recall`, `ndcg`) and, as served, by rate × value (`value_ndcg`).
    `blended-segment` and the like are paired differences.
    """
    parts = [
        _measured(test, shown, rates_of_half(test, past, taught=side), k=k)
        for test, *past in zip(seen, seen[1:], seen[2:], strict=False)
        for side in (False, True)
        for shown in [(half_of(test) != side) & (test.users.labels & test.users.eligible).any(axis=1)]
    ]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    for model, metric in list(columns):
        if model in _COMPARED:
            columns[f"blended-{model}", metric] = columns["blended", metric] - columns[model, metric]
    figures: dict[str, dict[str, Estimate]] = {}
    values = np.stack(list(columns.values()), axis=1)
    for (model, metric), estimate in zip(columns, bootstrap(values, seed=_SEED), strict=True):
        figures.setdefault(model, {})[metric] = estimate
    return figures


def rates_of_half(test: SeenUsers, past: Sequence[SeenUsers], *, taught: bool) -> dict[str, Doubles]:
    """`learned_rates` of the users of the half `taught`."""
    return learned_rates(test, past, teaches=lambda one: half_of(one) == taught)


def _measured(test: SeenUsers, shown: Mask, rates: Mapping[str, Doubles], *, k: int) -> dict[tuple[str, str], Doubles]:
    """(model, metric) -> a number a shown user."""
    eligible, values = test.users.eligible[shown], test.users.products.values
    opened = test.users.labels[shown] & eligible
    relevant = Relevant.of(*np.nonzero(opened), n_users=len(opened), n_items=opened.shape[1])
    gains = np.where(opened, values.astype(np.float64), 0.0)
    columns = {}
    for model, by_segment in rates.items():
        rate = by_segment[test.segment[shown]].astype(np.float32)
        hits = relevant.hits(best_products(rate, eligible, k=k))
        columns[model, f"recall@{k}"] = recall(hits, relevant.sizes)
        columns[model, f"ndcg@{k}"] = ndcg(hits, relevant.sizes)
        columns[model, f"value_ndcg@{k}"] = graded_ndcg(gains, best_products(rate * values, eligible, k=k))
    return columns


def half_of(seen: SeenUsers) -> Mask:
    """The same for a user in every window."""
    return uniform(seen.users.user_ids, np.zeros_like(seen.users.user_ids), _SEED) < 0.5
