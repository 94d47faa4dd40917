"""Figures of product rankers on users whose openings are known: lists and probabilities, overall and by who and what.

A list is what a night would list: eligible products by probability × value. Slices are users (segment, tenure) or
products (family: the whole lists, held against openings of that family).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from data_contracts.vocabulary import Family
from spark_jobs.evaluation.intervals import Estimate, bootstrap
from spark_jobs.evaluation.metrics import METRICS, Doubles, Mask, Relevant, coverage, graded_ndcg, novelty
from spark_jobs.evaluation.probabilities import Bin, Cases, calibration_curve, probability_figures
from spark_jobs.features.history import Ints
from spark_jobs.ranking.kernel import F32, best_first, items_of, ordered_keys

# model -> metric -> estimate
ModelFigures = Mapping[str, Mapping[str, Estimate]]
TENURES = {"no product": (-np.inf, 0), "below a year": (0, 365), "1 to 3 years": (365, 1095), "longer": (1095, np.inf)}
# Openings a slice needs, to say anything.
LEAST_OPENINGS = 30
_FAMILIES = [family.value for family in Family]
_SEED = 20240229


@dataclass(frozen=True)
class Outcomes:
    """n users × p products as seen from an as-of, and what was opened after it.

    tenure: days since the first opening, 0 where there is none; segment 0 is unknown; families, values and share [p]:
    share is how many of all users open each product within the horizon, as known at the as-of.
    """

    user_ids: npt.NDArray[np.int64]
    eligible: Mask
    opened: Mask
    segment: npt.NDArray[np.int16]
    tenure: Doubles
    families: npt.NDArray[np.int64]
    values: F32
    share: Doubles


@dataclass(frozen=True)
class ProductReport:
    """figures: slice -> model -> metric -> estimate; curves: family -> calibration curve of the first model."""

    figures: Mapping[str, ModelFigures]
    curves: Mapping[str, list[Bin]]

    def as_json(self) -> dict[str, object]:
        return {
            "figures": {
                name: {
                    model: {metric: one.as_json() for metric, one in metrics.items()}
                    for model, metrics in models.items()
                }
                for name, models in self.figures.items()
            },
            "calibration": {name: [vars(one) for one in curve] for name, curve in self.curves.items()},
        }


def product_report(outcomes: Outcomes, told: Mapping[str, F32], *, k: int) -> ProductReport:
    """told: model -> probabilities (n, p). The first model is compared with each of the others, by user."""
    lists = {name: best_products(told[name] * outcomes.values, outcomes.eligible, k=k) for name in told}
    figures = {
        name: _figures(outcomes, lists, told, users=users, products=products, k=k)
        for name, users, products in slices(outcomes)
        if (outcomes.opened & outcomes.eligible)[users][:, products].sum() >= LEAST_OPENINGS or name == "all"
    }
    first = next(iter(told.values()))
    curves = {
        name.removeprefix("family "): calibration_curve(_cases(outcomes, first, users, products))
        for name, users, products in slices(outcomes)
        if name in figures and name.startswith(("family ", "all"))
    }
    return ProductReport(figures, curves)


def best_products(scores: F32, eligible: Mask, *, k: int) -> Ints:
    """The k best eligible products of each user by score, then position; int32 [n, k] padded with -1."""
    n, products = scores.shape
    answer = np.full((n, k), -1, np.int32)
    masked = np.where(eligible, scores, np.float32(-1)).astype(np.float32)
    numbers = np.arange(products, dtype=np.int64)
    best = items_of(best_first(ordered_keys(masked, numbers, np.empty(masked.shape, np.int64)), k)).astype(np.int32)
    answer[:, : best.shape[1]] = np.where(np.take_along_axis(eligible, best, axis=1), best, -1)
    return answer


def slices(outcomes: Outcomes) -> Iterator[tuple[str, Mask, Mask]]:
    """Name, users (n,), products (p,)."""
    everybody, everything = np.ones(len(outcomes.user_ids), bool), np.ones(len(outcomes.values), bool)
    yield "all", everybody, everything
    for number, family in enumerate(_FAMILIES):
        yield f"family {family}", everybody, outcomes.families == number
    for segment in np.unique(outcomes.segment).tolist():
        yield f"segment {segment}", outcomes.segment == segment, everything
    for name, (least, below) in TENURES.items():
        is_there = (outcomes.tenure > least) & (outcomes.tenure <= below)
        yield f"tenure {name}", is_there, everything


def _figures(
    outcomes: Outcomes,
    lists: Mapping[str, Ints],
    told: Mapping[str, F32],
    *,
    users: Mask,
    products: Mask,
    k: int,
) -> dict[str, dict[str, Estimate]]:
    opened = (outcomes.opened & outcomes.eligible & products)[users]
    rows, codes = np.nonzero(opened)
    relevant = Relevant.of(rows, codes, n_users=len(opened), n_items=opened.shape[1])
    gains = np.where(opened, outcomes.values.astype(np.float64), 0.0)
    chosen = opened.any(axis=1)
    columns: dict[tuple[str, str], Doubles] = {}
    for model, codes_of in lists.items():
        top = codes_of[users]
        measured = {name: measure(relevant.hits(top), relevant.sizes) for name, measure in METRICS.items()}
        measured |= {"value_ndcg": graded_ndcg(gains, top), "novelty": novelty(top, outcomes.share)}
        columns |= {(model, f"{name}@{k}"): values[chosen] for name, values in measured.items()}
    first, *others = lists
    for other in others:
        for metric in (f"ndcg@{k}", f"value_ndcg@{k}"):
            columns[f"{first}-{other}", metric] = columns[first, metric] - columns[other, metric]
    figures: dict[str, dict[str, Estimate]] = {}
    for (model, metric), estimate in zip(
        columns, bootstrap(np.stack(list(columns.values()), axis=1), seed=_SEED), strict=True
    ):
        figures.setdefault(model, {})[metric] = estimate
    for model, probability in told.items():
        figures[model] |= probability_figures(_cases(outcomes, probability, users, products))
        share = coverage(lists[model][users], n_items=len(products))
        figures[model][f"coverage@{k}"] = Estimate(share, share, share, int(users.sum()))
    return figures


def _cases(outcomes: Outcomes, probability: F32, users: Mask, products: Mask) -> Cases:
    """The eligible pairs."""
    chosen = outcomes.eligible & users[:, None] & products
    rows = np.nonzero(chosen)[0]
    return Cases(outcomes.user_ids[rows], probability[chosen].astype(np.float64), outcomes.opened[chosen])


def joined(parts: Sequence[Outcomes]) -> Outcomes:
    """Users of several as-ofs together; products as seen from the first."""
    return replace(
        parts[0],
        user_ids=np.concatenate([part.user_ids for part in parts]),
        eligible=np.concatenate([part.eligible for part in parts]),
        opened=np.concatenate([part.opened for part in parts]),
        segment=np.concatenate([part.segment for part in parts]),
        tenure=np.concatenate([part.tenure for part in parts]),
    )
