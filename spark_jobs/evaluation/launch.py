"""How well a product is ranked on the day of its launch, measured by hiding one that is known.

The ranker is trained and calibrated on windows in which the product does not exist; at the test's as-of it stands in
the catalogue, and nobody has had it, opened it or heard of it. Judged on who did open it, all by the same lists of
probability × value over the same users, whom the policy lets have it with its past and without:

    launched   trained without it          knew     trained with all that was known of it
    family     the rate of the user's segment; of the product itself, the mean of what else its family sells
    chance     any order of what the user may have: the expectation, not a draw
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from data_contracts.errors import InputError
from spark_jobs.evaluation.intervals import Estimate, bootstrap
from spark_jobs.evaluation.metrics import Doubles, Mask, Relevant, ndcg, recall
from spark_jobs.evaluation.probabilities import Cases, probability_figures
from spark_jobs.evaluation.product_figures import best_products
from spark_jobs.evaluation.rolling import SeenUsers, baselines
from spark_jobs.features.history import Ints, Longs
from spark_jobs.ranking.boosting import BoosterParams
from spark_jobs.ranking.kernel import F32
from spark_jobs.ranking.product_training import train_on
from spark_jobs.ranking.products import LabelledUsers, told_by
from spark_jobs.ranking.rows import ProductTable

_METRICS = {"ndcg": ndcg, "recall": recall}
_OTHERS = ("knew", "family", "chance")
_SEED = 20240229


def launch_figures(
    known: Sequence[SeenUsers],
    hidden: Sequence[SeenUsers],
    product_id: str,
    *,
    k: int,
    booster: BoosterParams,
    seed: int,
    threads: int,
) -> dict[str, dict[str, Estimate]]:
    """By model and metric: of lists, over the openers; of probabilities, over all who may have the product.

    known and hidden: the same users at three consecutive windows, the newest first, with the product and without its
    traces. Raises InputError for a product that is not there, or that nobody opened in the newest window.
    """
    column = column_of(product_id, known[0].users.products.ids)
    past = [replace(one, users=without_column(one.users, column)) for one in hidden[1:3]]
    launched = train_on(past[1], past[0], params=booster, seed=seed, threads=threads)
    knew = train_on(known[2], known[1], params=booster, seed=seed, threads=threads)
    told = {
        "launched": told_by(launched, hidden[0].users, hidden[0].feature_names),
        "knew": told_by(knew, known[0].users, known[0].feature_names),
        "family": family_rates(known[1], known[0], column),
    }
    users, eligible = known[0].users, known[0].users.eligible & hidden[0].users.eligible
    openers = np.flatnonzero(users.labels[:, column] & eligible[:, column])
    if not len(openers):
        raise InputError(f"nobody opened {product_id} in the newest window: hide another product")
    lists = {name: best_products(p * users.products.values, eligible, k=k)[openers] for name, p in told.items()}
    figures = _list_figures(lists, column, sizes=eligible[openers].sum(axis=1), n_items=eligible.shape[1], k=k)
    may: Mask = eligible[:, column]
    for name, probability in told.items():
        cases = Cases(users.user_ids[may], probability[may, column].astype(np.float64), users.labels[may, column])
        figures[name] |= probability_figures(cases)
    return figures


def _list_figures(
    lists: Mapping[str, Ints], column: int, *, sizes: Longs, n_items: int, k: int
) -> dict[str, dict[str, Estimate]]:
    """Of one relevant product each, with what chance gives and the paired differences of `launched` to the others."""
    count = len(sizes)
    relevant = Relevant.of(np.arange(count), np.full(count, column), n_users=count, n_items=n_items)
    columns: dict[tuple[str, str], Doubles] = {
        (model, name): measure(relevant.hits(codes), relevant.sizes)
        for model, codes in lists.items()
        for name, measure in _METRICS.items()
    }
    places = np.arange(k) < sizes[:, None]
    columns["chance", "ndcg"] = (places / np.log2(np.arange(k) + 2.0)).sum(axis=1) / sizes
    columns["chance", "recall"] = places.sum(axis=1) / sizes
    for other in _OTHERS:
        for name in _METRICS:
            columns[f"launched-{other}", name] = columns["launched", name] - columns[other, name]
    figures: dict[str, dict[str, Estimate]] = {}
    estimates = bootstrap(np.stack(list(columns.values()), axis=1), seed=_SEED)
    for (model, name), estimate in zip(columns, estimates, strict=True):
        figures.setdefault(model, {})[f"{name}@{k}"] = estimate
    return figures


def without_column(users: LabelledUsers, column: int) -> LabelledUsers:
    """Less one product."""
    table = users.products
    kept = np.arange(len(table.ids)) != column
    rest = ProductTable(
        ids=tuple(name for name, is_kept in zip(table.ids, kept, strict=True) if is_kept),
        families=table.families[kept],
        values=table.values[kept],
        features=np.ascontiguousarray(table.features[kept]),
    )
    return replace(
        users,
        pairs=np.ascontiguousarray(users.pairs[:, kept]),
        eligible=users.eligible[:, kept],
        labels=users.labels[:, kept],
        products=rest,
    )


def family_rates(past: SeenUsers, test: SeenUsers, column: int) -> F32:
    """(n, p): rates of the users' segments; of the product itself, the mean of what else its family sold."""
    rates = baselines(past, test)["segment"].copy()
    table = test.users.products
    others = (table.families == table.families[column]) & (np.arange(len(table.ids)) != column)
    sold = others & past.users.eligible.any(axis=0)
    rates[:, column] = rates[:, sold].mean(axis=1) if sold.any() else rates.mean(axis=1)
    return rates


def column_of(product_id: str, ids: Sequence[str]) -> int:
    """Its number. Raises InputError for a product that is not there."""
    if product_id not in ids:
        raise InputError(f"no product {product_id} in the catalogue; there are {', '.join(ids)}")
    return ids.index(product_id)
