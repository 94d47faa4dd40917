"""How well products are ranked on the day of their launch, measured by hiding some that are known.

The ranker is trained and calibrated on windows in which they do not exist; at the test's as-of they stand in the
catalogue, and nobody has had them, opened them or heard of them. Judged on who does open one, all by the same lists of
probability × value over the same users, whom the policy lets have it with its past and without:

    launched   trained without it          knew     trained with all that was known of it
    family     what the segment tier serves; of the product itself, the mean of what else its family sells
    chance     any order of what the user may have: the expectation, not a draw
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from data_contracts.errors import InputError
from spark_jobs.evaluation.intervals import Estimate, resampled_means
from spark_jobs.evaluation.metrics import Doubles, Mask, Relevant, ndcg, recall
from spark_jobs.evaluation.probabilities import Cases, probability_figures
from spark_jobs.evaluation.product_figures import best_products
from spark_jobs.evaluation.rolling import SeenUsers, baselines
from spark_jobs.features.history import Longs
from spark_jobs.ranking.boosting import BoosterParams
from spark_jobs.ranking.kernel import F32
from spark_jobs.ranking.product_training import train_on
from spark_jobs.ranking.products import LabelledUsers, told_by
from spark_jobs.ranking.rows import ProductTable

_METRICS = {"ndcg": ndcg, "recall": recall}
_OTHERS = ("knew", "family", "chance")
_SEED = 20240229


@dataclass(frozen=True)
class Launch:
    """users: with the products' past, n; columns: of the hidden products; eligible (n, p): with their past and without.

    told: model -> probabilities (n, p).
    """

    users: LabelledUsers
    columns: tuple[int, ...]
    eligible: Mask
    told: Mapping[str, F32]


def launched(
    known: Sequence[SeenUsers],
    hidden: Sequence[SeenUsers],
    product_ids: Sequence[str],
    *,
    booster: BoosterParams,
    seed: int,
    threads: int,
) -> Launch:
    """Of the same users at three consecutive windows, the newest first, with the products (known) and without (hidden);
    only the older two are learned from. Raises InputError for a product that is not there.
    """
    test, unknowing = known[0], hidden[0]
    columns = tuple(column_of(one, test.users.products.ids) for one in product_ids)
    past = [replace(one, users=without_columns(one.users, columns)) for one in hidden[1:3]]
    unaware = train_on(past[1], past[0], params=booster, seed=seed, threads=threads)
    knew = train_on(known[2], known[1], params=booster, seed=seed, threads=threads)
    told = {
        "launched": told_by(unaware, unknowing.users, unknowing.feature_names),
        "knew": told_by(knew, test.users, test.feature_names),
        "family": family_rates(known[1:3], test, columns),
    }
    return Launch(test.users, columns, test.users.eligible & unknowing.users.eligible, told)


def launch_figures(launch: Launch, column: int, *, k: int) -> dict[str, dict[str, Estimate]]:
    """Of one hidden product, by model and metric: of lists, over its openers; of probabilities, over all who may.

    Raises InputError for a product that nobody opened.
    """
    users, may = launch.users, launch.eligible[:, column]
    opened = users.labels[:, column] & may
    if not opened.any():
        raise InputError(f"nobody opened {users.products.ids[column]} in the newest window: hide another product")
    figures = list_figures(launch, {column: opened.astype(np.float64)}, k=k)
    for name, probability in launch.told.items():
        cases = Cases(users.user_ids[may], probability[may, column].astype(np.float64), opened[may])
        figures[name] |= probability_figures(cases)
    return figures


def launch_by_truth(launch: Launch, truth: Doubles, *, k: int) -> dict[str, dict[str, Estimate]]:
    """Of all hidden products together, by model and metric, where the true probabilities (n, p) are known: lists over
    those who will open them, each as likely as it is, and `predicted_over_true`.
    """
    openings = {column: np.where(launch.eligible[:, column], truth[:, column], 0.0) for column in launch.columns}
    figures = list_figures(launch, openings, k=k)
    true = np.sum(list(openings.values()), axis=0)
    for name, probability in launch.told.items():
        predicted = np.where(launch.eligible, probability, 0.0)[:, launch.columns].sum(axis=1)
        figures[name]["predicted_over_true"] = _ratios(predicted[:, None].astype(np.float64), true)[0]
    return figures


def list_figures(launch: Launch, openings: Mapping[int, Doubles], *, k: int) -> dict[str, dict[str, Estimate]]:
    """openings: column of a product -> how many times each user opens it, (n,): 0 or 1, or the chance to.

    An opening counts by where the list of its user has the product, the only relevant one; with what chance gives, and
    the paired differences of `launched` to the others.
    """
    users, sizes = launch.users, launch.eligible.sum(axis=1)
    count, n_items = launch.eligible.shape
    by_model = {name: best_products(p * users.products.values, launch.eligible, k=k) for name, p in launch.told.items()}
    columns: dict[tuple[str, str], Doubles] = {}
    for model, name in [(model, name) for model in (*by_model, "chance") for name in _METRICS]:
        columns[model, name] = np.zeros(count)
    for column, opened in openings.items():
        relevant = Relevant.of(np.arange(count), np.full(count, column), n_users=count, n_items=n_items)
        for model, codes in by_model.items():
            for name, measure in _METRICS.items():
                columns[model, name] += opened * measure(relevant.hits(codes), relevant.sizes)
        for name, gained in _by_chance(sizes, k=k).items():
            columns["chance", name] += opened * gained
    for other in _OTHERS:
        for name in _METRICS:
            columns[f"launched-{other}", name] = columns["launched", name] - columns[other, name]
    figures: dict[str, dict[str, Estimate]] = {}
    estimates = _ratios(np.stack(list(columns.values()), axis=1), np.sum(list(openings.values()), axis=0))
    for (model, name), estimate in zip(columns, estimates, strict=True):
        figures.setdefault(model, {})[f"{name}@{k}"] = estimate
    return figures


def _by_chance(sizes: Longs, *, k: int) -> dict[str, Doubles]:
    """Of one relevant product among as many as each user may have, in any order."""
    places = np.arange(k) < sizes[:, None]
    among = np.maximum(sizes, 1)
    return {"ndcg": (places / np.log2(np.arange(k) + 2.0)).sum(axis=1) / among, "recall": places.sum(axis=1) / among}


def _ratios(values: Doubles, weights: Doubles) -> list[Estimate]:
    """Sum of each column of values (n, M) over the sum of weights (n,), with intervals over the users who weigh."""
    weighs = weights > 0
    both = np.column_stack([values, weights])[weighs]
    drawn = resampled_means(both, seed=_SEED)
    low, high = np.quantile(drawn[:, :-1] / drawn[:, -1:], [0.025, 0.975], axis=0)
    middle, count = both[:, :-1].sum(axis=0) / both[:, -1].sum(), int(weighs.sum())
    return [Estimate(float(middle[m]), float(low[m]), float(high[m]), count) for m in range(len(middle))]


def without_columns(users: LabelledUsers, columns: Sequence[int]) -> LabelledUsers:
    """Less some products."""
    table = users.products
    kept = np.setdiff1d(np.arange(len(table.ids)), columns)
    rest = ProductTable(
        ids=tuple(table.ids[number] for number in kept),
        families=table.families[kept],
        values=table.values[kept],
        features=np.ascontiguousarray(table.features[kept]),
        is_new=table.is_new[kept],
    )
    return replace(
        users,
        pairs=np.ascontiguousarray(users.pairs[:, kept]),
        eligible=users.eligible[:, kept],
        labels=users.labels[:, kept],
        products=rest,
    )


def family_rates(past: Sequence[SeenUsers], test: SeenUsers, columns: Sequence[int]) -> F32:
    """(n, p): rates of the users' segments; of the products themselves, the mean of what else their families sold.

    past: the newest window first.
    """
    rates = baselines(test, past)["segment"]
    table = test.users.products
    sold = past[0].users.eligible.any(axis=0) & ~np.isin(np.arange(len(table.ids)), columns)
    for column in columns:
        others = sold & (table.families == table.families[column])
        rates[:, column] = rates[:, others if others.any() else sold].mean(axis=1)
    return rates


def column_of(product_id: str, ids: Sequence[str]) -> int:
    """Its number. Raises InputError for a product that is not there."""
    if product_id not in ids:
        raise InputError(f"no product {product_id} in the catalogue; there are {', '.join(ids)}")
    return ids.index(product_id)
