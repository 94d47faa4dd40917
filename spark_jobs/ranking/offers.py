"""The offer ranker as a value, and its use: candidates of all sources, their features, trees, a calibrated probability.

`rank_offers` is the one way to an offer list: the nightly stage calls it on blocks inside Spark's workers, the
backtest on blocks in memory. Does not belong here: training (`offers_training`), files (`offers_store`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import xgboost as xgb
from pydantic import BaseModel, ConfigDict, Field

from spark_jobs.candidates.base import Candidates, RetrievalModel, UserBlock, best
from spark_jobs.candidates.retrieval import user_block
from spark_jobs.features.history import Floats, Longs, UserHistory
from spark_jobs.features.item_features import ItemFeatures
from spark_jobs.ranking.boosting import BoosterParams
from spark_jobs.ranking.calibration import Platt, sigmoid
from spark_jobs.ranking.kernel import margins
from spark_jobs.ranking.offers_features import FUSION, Pairs, feature_matrix, union

# Users ranked at once: their pairs' features must stay a small part of a task's memory.
_USERS_AT_ONCE = 1024
# Times as many pairs as are listed that the first booster passes to the others. On T-ECD one listed item of ten
# thousand is lost by it, none of them among the first ten.
_SHORTLIST = 2


class OfferParams(BaseModel):
    """How the offer ranker is trained and used."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    candidates: Mapping[str, int] = {"repeat": 60, "item_item": 60, "als": 40, "popular": 60}
    booster: BoosterParams = BoosterParams(rounds=100, learning_rate=0.08, depth=6, min_child_weight=20.0)
    models: int = Field(3, ge=1, description="boosters averaged, by seed")
    training_users: int = Field(20_000, ge=1, description="users of one training as-of, most")
    negative_share: float = Field(0.2, gt=0, le=1, description="share of the pairs without a label that is trained on")
    target: Literal["any", "click"] = Field("any", description="what counts as a label: any action, or a click or more")


@dataclass(frozen=True)
class Prior:
    """Where boosters start from, so that they learn only what fusion does not know: log odds on a line of its feature.

    typical: the mean of the feature in training.
    """

    slope: float
    level: float
    typical: float

    def margins(self, fusion: Floats) -> Floats:
        """float32 [P], of the feature's values."""
        return (self.slope * fusion + self.level).astype(np.float32)

    def moved(self, fusion: Floats) -> Floats:
        """How much further than usual the feature moves margins, float32 [P]."""
        return (self.slope * (fusion - self.typical)).astype(np.float32)


@dataclass(frozen=True)
class OfferRanker:
    """Boosters whose mean margin, on top of the prior's, ranks, and the calibrator that makes it a probability within
    the horizon.

    `facts` are JSON-able: counts of training.
    """

    feature_names: tuple[str, ...]
    candidates: Mapping[str, int]
    prior: Prior
    boosters: tuple[xgb.Booster, ...]
    calibrator: Platt
    facts: Mapping[str, float] = field(default_factory=dict)

    def margins(self, rows: Floats, *, first: Floats | None = None) -> Floats:
        """Raw margin of rows [P, F], float32 [P]. first: `first_margins` of them, where they are known."""
        total = self.first_margins(rows) if first is None else first
        for booster in self.boosters[1:]:
            total = total + self._margins(booster, rows)
        return total / np.float32(len(self.boosters))

    def first_margins(self, rows: Floats) -> Floats:
        """As if the first booster were the only one."""
        return self._margins(self.boosters[0], rows)

    def _margins(self, booster: xgb.Booster, rows: Floats) -> Floats:
        return margins(booster, rows, start=self.prior.margins(rows[:, self.fusion]))

    @property
    def fusion(self) -> int:
        """Column of the prior's feature."""
        return self.feature_names.index(FUSION)

    def probabilities(self, margins: Floats) -> Floats:
        calibrated = sigmoid(self.calibrator.slope * margins.astype(np.float64) + self.calibrator.intercept)
        return calibrated.astype(np.float32)


@dataclass(frozen=True)
class OfferModels:
    """All that a night needs to rank offers for any user. item_ids [I] strings, position = item code."""

    item_ids: npt.NDArray[np.str_]
    items: ItemFeatures
    retrieval: RetrievalModel
    ranker: OfferRanker


@dataclass(frozen=True)
class RankedOffers:
    """Lists of U users: codes int32 [U, k] padded with -1, probabilities float32 [U, k], best first.

    features float32 [n, F]: rows of the listed pairs, user by user and in list order; n is 0 where nobody asked.
    """

    codes: npt.NDArray[np.int32]
    probabilities: Floats
    features: Floats


def rank_offers(
    history: UserHistory,
    models: OfferModels,
    *,
    k: int,
    segment: npt.NDArray[np.int16] | None = None,
    explain: bool = True,
) -> RankedOffers:
    """The k best offers of every user of a history. segment int16 [U] where known; explain: give `features`."""
    parts = []
    for start in range(0, len(history), _USERS_AT_ONCE):
        here = slice(start, start + _USERS_AT_ONCE)
        block = user_block(
            history.block(start, start + _USERS_AT_ONCE),
            models.retrieval,
            segment=None if segment is None else segment[here],
        )
        parts.append(_rank_block(block, models, k=k, explain=explain))
    if not parts:
        nothing = np.empty((0, k))
        width = len(models.ranker.feature_names)
        return RankedOffers(nothing.astype(np.int32), nothing.astype(np.float32), np.empty((0, width), np.float32))
    return RankedOffers(
        np.concatenate([part.codes for part in parts]),
        np.concatenate([part.probabilities for part in parts]),
        np.concatenate([part.features for part in parts]),
    )


def _rank_block(block: UserBlock, models: OfferModels, *, k: int, explain: bool) -> RankedOffers:
    pairs = union(block, models.retrieval, models.items, per_source=models.ranker.candidates)
    matrix = feature_matrix(pairs, models.ranker.feature_names)
    first = models.ranker.first_margins(matrix)
    some = _listed_pairs(pairs, best(pairs.rows, pairs.codes, first, n_rows=len(block), k=_SHORTLIST * k))
    ranked = models.ranker.margins(matrix[some], first=first[some])
    listed = best(pairs.rows[some], pairs.codes[some], ranked, n_rows=len(block), k=k)
    is_listed = np.arange(k) < listed.sizes[:, None]
    probabilities = np.where(is_listed, models.ranker.probabilities(listed.scores), np.float32(0))
    features = matrix[_listed_pairs(pairs, listed)] if explain else matrix[:0]
    return RankedOffers(listed.codes, probabilities, features)


def _listed_pairs(pairs: Pairs, listed: Candidates) -> Longs:
    """Positions of the listed pairs, user by user and in list order."""
    rows, places = np.nonzero(listed.codes >= 0)
    return np.searchsorted(pairs.keys, rows * pairs.retrieval.n_items + listed.codes[rows, places])
