"""Whom a campaign persuades: the X-learner on boosted trees. Pure.

Source: Künzel, Sekhon, Bickel and Yu, "Metalearners for estimating heterogeneous treatment effects using machine
learning" (PNAS 2019). It is chosen over the T-learner for campaigns whose control groups are small.
"""

from dataclasses import dataclass

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from spark_jobs.ranking.boosting import BoosterParams, train_booster
from spark_jobs.ranking.kernel import F32

# Shallow and short: effects are fewer and fainter than outcomes.
PARAMS = BoosterParams(rounds=100, depth=3, min_child_weight=10.0)


@dataclass(frozen=True)
class Contacted:
    """N users, one contact each: features float32 (N, len(names)); was it shown or held out; did they open, 0 or 1."""

    user_ids: NDArray[np.int64]
    features: F32
    names: tuple[str, ...]
    treated: NDArray[np.bool_]
    outcome: F32

    def smallest(self) -> tuple[int, int]:
        """Users of the smaller group, and openings in the one that has fewer."""
        sides = (self.treated, ~self.treated)
        return min(int(side.sum()) for side in sides), min(int(self.outcome[side].sum()) for side in sides)


@dataclass(frozen=True)
class UpliftModel:
    """Effects as learnt from the treated and from the control group, and the share treated, which weighs them."""

    of_treated: xgb.Booster
    of_control: xgb.Booster
    treated_share: float
    names: tuple[str, ...]

    def scores(self, features: F32) -> F32:
        """(N,): by how much being shown raises each user's chance to open."""
        rows = xgb.DMatrix(features, feature_names=list(self.names))
        treated, control = self.of_treated.predict(rows), self.of_control.predict(rows)
        return np.asarray(self.treated_share * control + (1 - self.treated_share) * treated, np.float32)


def train_uplift(cases: Contacted, *, seed: int, threads: int) -> UpliftModel:
    """Same cases, seed and threads give the same model. Both groups need users who opened and users who did not."""
    sides = {is_treated: cases.treated == is_treated for is_treated in (True, False)}

    def fit(rows: F32, labels: F32, objective: str) -> xgb.Booster:
        return train_booster(
            rows, labels, names=cases.names, params=PARAMS, seed=seed, threads=threads, objective=objective
        )

    opens = {side: fit(cases.features[rows], cases.outcome[rows], "binary:logistic") for side, rows in sides.items()}

    def effect(side: bool) -> xgb.Booster:
        rows = cases.features[sides[side]]
        otherwise = opens[not side].predict(xgb.DMatrix(rows, feature_names=list(cases.names)))
        gained = (cases.outcome[sides[side]] - otherwise) * (1 if side else -1)
        return fit(rows, gained.astype(np.float32), "reg:squarederror")

    return UpliftModel(effect(True), effect(False), float(cases.treated.mean()), cases.names)
