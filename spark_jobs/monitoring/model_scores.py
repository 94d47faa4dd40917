"""`scores.json` of a snapshot: how its lists' scores are distributed, and how they were on the first night of the same
models: what a ranker says of the population now, beside what it said when it came.

A distribution is so many of its scores, of even ranks: it holds no person. That of a version's first night that passed
lies beside the version's files as well (see `lifecycle.first_scores`), so that it outlives its snapshot.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from data_contracts.columns import OFFER_SCORES, PRODUCT_ITEMS, PRODUCT_SCORES
from spark_jobs.lake.files import read_bytes
from spark_jobs.monitoring.drift import ks, psi
from spark_jobs.monitoring.yesterday import Sampled, best_scores, known_odds, mean_of_known

SCORES_FILE = "scores.json"
# In fewer lists a product's scores are not compared.
FEWEST_LISTS = 500
# Beyond it a product's scores are others (see `drift.psi`).
PSI_LINE = 0.25
_KINDS = {"product": PRODUCT_SCORES, "offer": OFFER_SCORES}
_RANKS = 500


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Spread(_Value):
    """lists: how many there are. scores: stored scores (`data_contracts.scores`) of at most `_RANKS` of them at even
    ranks, ascending; NO_SCORE of a list without any.
    """

    lists: int
    scores: tuple[int, ...]

    @classmethod
    def of(cls, scores: NDArray[Any]) -> "Spread":
        ranks = (np.arange(min(_RANKS, len(scores))) + 0.5) / max(min(_RANKS, len(scores)), 1) * len(scores)
        return cls(lists=len(scores), scores=tuple(np.sort(scores.astype(np.int64))[ranks.astype(np.int64)].tolist()))

    @property
    def log_odds(self) -> NDArray[np.float64]:
        """NaN of lists without any."""
        return known_odds(np.array(self.scores, np.int64))


class Scores(_Value):
    """Of one snapshot. best: by kind, the best score of each list. products: by product id, its score in each list that
    holds it.
    """

    as_of: date
    best: dict[str, Spread]
    products: dict[str, Spread] = {}

    def of_kind(self, kind: str) -> "Scores":
        """What is told of the ranker of this kind alone."""
        own = {"best": {kind: self.best[kind]}, "products": self.products if kind == "product" else {}}
        return self.model_copy(update=own)


class NightScores(_Value):
    """now: tonight's. then: by kind, those of the first night of the version that scores tonight; none of its own."""

    now: Scores
    then: dict[str, Scores] = {}

    @classmethod
    def read(cls, snapshot: str) -> "NightScores | None":
        """None where the snapshot at this URI has none."""
        try:
            return cls.model_validate_json(read_bytes(f"{snapshot}/{SCORES_FILE}"))
        except FileNotFoundError:
            return None


@dataclass(frozen=True)
class ScoreDrift:
    """Means are of log odds. lists: how many were compared, now and then."""

    then_as_of: date
    psi: float
    ks: float
    mean: float
    mean_then: float
    lists: int
    lists_then: int

    @classmethod
    def of(cls, then: Spread, now: Spread, *, since: date) -> "ScoreDrift":
        theirs, ours = then.log_odds, now.log_odds
        distances = psi(theirs, ours), ks(theirs, ours)
        return cls(since, *distances, mean_of_known(ours), mean_of_known(theirs), now.lists, then.lists)


def scores_of(sample: Sampled, *, as_of: date, products: int) -> Scores:
    """products: how many of the items, whose codes are the first ones, are products."""
    items, scores = (_flat(sample.lists.column(name)) for name in (PRODUCT_ITEMS, PRODUCT_SCORES))
    order = np.argsort(items, kind="stable")
    bounds = np.searchsorted(items[order], np.arange(products + 1))
    of_products = {
        str(sample.items[code]): Spread.of(scores[order[first:last]])
        for code, (first, last) in enumerate(pairwise(bounds))
        if last > first
    }
    best = {kind: Spread.of(best_scores(sample.lists.column(name))) for kind, name in _KINDS.items()}
    return Scores(as_of=as_of, best=best, products=of_products)


def drift_by_kind(scores: NightScores) -> dict[str, ScoreDrift]:
    """How far the best scores of the lists of each kind have moved since the model's first night."""
    then = {kind: (one, one.best[kind]) for kind, one in scores.then.items()}
    return _compared(
        {kind: ScoreDrift.of(of, scores.now.best[kind], since=one.as_of) for kind, (one, of) in then.items()}
    )


def drift_by_product(scores: NightScores) -> dict[str, ScoreDrift]:
    """The same of each product that enough lists hold, then and now."""
    then, now = scores.then.get("product"), scores.now.products
    if then is None:
        return {}
    both = sorted(then.products.keys() & now.keys())
    return _compared({name: ScoreDrift.of(then.products[name], now[name], since=then.as_of) for name in both})


def _compared(found: Mapping[str, ScoreDrift]) -> dict[str, ScoreDrift]:
    return {name: one for name, one in found.items() if min(one.lists, one.lists_then) >= FEWEST_LISTS}


def _flat(lists: pa.ChunkedArray) -> NDArray[np.int64]:
    return np.asarray(lists.combine_chunks().flatten().to_numpy(), np.int64)
