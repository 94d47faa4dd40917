"""The product ranker held against the sample world's true probabilities: how much of what can be known it knows.

Two ends are told beside it: `segment`, what a stranger of the segment is shown (`rolling.baselines`), and `best`, a
booster of the same features and size trained on the true probabilities of other users: no model of these observables
can be expected to do better. Lists are by probability × value; what only holds within a list (caps, prohibited mixes)
is left out, alike for all. Nothing here is seen by a night.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from data_contracts.vocabulary import Family
from spark_jobs.evaluation.intervals import Estimate, bootstrap, resampled_means
from spark_jobs.evaluation.metrics import Doubles, graded_ndcg
from spark_jobs.evaluation.probabilities import Cases, probability_figures
from spark_jobs.evaluation.product_figures import best_products
from spark_jobs.ranking.boosting import BoosterParams, train_booster, uniform
from spark_jobs.ranking.kernel import F32, margins
from spark_jobs.ranking.product_training import cases
from spark_jobs.ranking.products import LabelledUsers
from spark_jobs.ranking.rows import RowLayout

_FAMILIES = [family.value for family in Family]
_SEED = 20240229


@dataclass(frozen=True)
class TruthReport:
    """ndcg: model -> NDCG@k against true probability × value; closed: the share of the gap from segment to best.

    rates: family -> predicted over true openings. floor: AUC and log loss of the truth itself on outcomes drawn from
    it; what chance leaves to nobody.
    """

    ndcg: Mapping[str, Estimate]
    closed: Estimate
    rates: Mapping[str, float]
    floor: Mapping[str, Estimate]


def truth_report(users: LabelledUsers, told: F32, best: F32, truth: Doubles, *, segment: F32, k: int) -> TruthReport:
    """segment, told, best and truth: probabilities (n, p). Users who will open nothing (truth all 0) are left out."""
    gains = np.where(users.eligible, truth * users.products.values, 0.0)
    by_model = {"segment": segment, "personal": told, "best": best}
    columns = {
        name: graded_ndcg(gains, best_products(p * users.products.values, users.eligible, k=k))
        for name, p in by_model.items()
    }
    values = np.stack(list(columns.values()), axis=1)
    values = values[np.isfinite(values).all(axis=1)]
    drawn = resampled_means(values, seed=_SEED)
    low, high = np.quantile(_closed(drawn), [0.025, 0.975])
    share = float(_closed(values.mean(axis=0, keepdims=True))[0])
    return TruthReport(
        ndcg=dict(zip(columns, bootstrap(values, seed=_SEED), strict=True)),
        closed=Estimate(share, float(low), float(high), len(values)),
        rates=family_rates(told, truth, users),
        floor=noise_floor(users, truth),
    )


def noise_floor(users: LabelledUsers, truth: Doubles) -> Mapping[str, Estimate]:
    """How good the true probabilities are at telling one drawn future."""
    rows = np.nonzero(users.eligible)[0]
    probability = truth[users.eligible]
    happened = np.random.default_rng(_SEED).random(len(rows)) < probability
    return probability_figures(Cases(users.user_ids[rows], probability, happened))


def family_rates(told: F32, truth: Doubles, users: LabelledUsers) -> dict[str, float]:
    """Predicted over true openings of the eligible pairs of each family that anybody may open."""
    rates = {}
    for number, family in enumerate(_FAMILIES):
        pairs = users.eligible & (users.products.families == number)
        if truth[pairs].sum() > 0:
            rates[family] = float(told[pairs].sum() / truth[pairs].sum())
    return rates


def best_by_truth(
    users: LabelledUsers, truth: Doubles, layout: RowLayout, *, params: BoosterParams, seed: int, threads: int
) -> F32:
    """Probabilities (n, p), 0 where not eligible: of half of the users, by a booster told the truth of the rest."""
    rows = cases(users, layout, negative_share=1.0, seed=seed).rows
    half = uniform(users.user_ids, np.zeros_like(users.user_ids), seed) < 0.5
    of_row = np.broadcast_to(half[:, None], users.eligible.shape)[users.eligible]
    labels, found = truth[users.eligible].astype(np.float32), np.empty(len(rows), np.float32)
    for side in (False, True):
        learned, judged = of_row != side, of_row == side
        booster = train_booster(
            rows[learned], labels[learned], names=layout.names, params=params, seed=seed, threads=threads
        )
        found[judged] = margins(booster, np.ascontiguousarray(rows[judged]))
    answer = np.zeros(users.eligible.shape, np.float32)
    answer[users.eligible] = 1.0 / (1.0 + np.exp(-found))
    return answer


def _closed(means: Doubles) -> Doubles:
    """Of columns segment, personal, best."""
    share: Doubles = (means[:, 1] - means[:, 0]) / (means[:, 2] - means[:, 0])
    return share
