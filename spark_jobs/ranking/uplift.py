"""Whom a campaign persuades: the X-learner on boosted trees. Pure.

Source: Künzel, Sekhon, Bickel and Yu, "Metalearners for estimating heterogeneous treatment effects using machine
learning" (PNAS 2019). It is chosen over the T-learner for campaigns whose control groups are small.
"""

import hashlib
import json
from dataclasses import dataclass

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from data_contracts.errors import InputError
from data_contracts.vocabulary import Family
from spark_jobs.lake.files import digests_of, read_bytes, write_bytes
from spark_jobs.ranking.boosting import BoosterParams, booster_bytes, booster_from, train_booster
from spark_jobs.ranking.kernel import F32, margins

# Shallow and short: effects are fewer and fainter than outcomes.
PARAMS = BoosterParams(rounds=100, depth=3, min_child_weight=10.0)
# The last features of a contact: which family's product was offered.
OFFERED = tuple(f"offered_{family.value}" for family in Family)
DOCUMENT = "model.json"
_SIDES = ("of_treated", "of_control")


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
        treated, control = margins(self.of_treated, features), margins(self.of_control, features)
        return np.asarray(self.treated_share * control + (1 - self.treated_share) * treated, np.float32)

    @property
    def user_features(self) -> tuple[str, ...]:
        """Names of what is asked of a user; the family offered comes after it."""
        return self.names[: -len(OFFERED)]

    def gains(self, users: F32) -> F32:
        """(n, families): by how much being shown a product of each family raises the chance to open it.

        users: (n, user features).
        """
        rows = np.zeros((len(users), len(self.names)), np.float32)
        rows[:, : users.shape[1]] = users
        gains = np.empty((len(users), len(OFFERED)), np.float32)
        for family in range(len(OFFERED)):
            rows[:, users.shape[1] :] = 0
            rows[:, users.shape[1] + family] = 1
            gains[:, family] = self.scores(rows)
        return gains

    def save(self, folder: str) -> None:
        files = {f"{side}.ubj": booster_bytes(getattr(self, side)) for side in _SIDES}
        digests = digests_of(files)
        document = {"names": self.names, "treated_share": self.treated_share, "sha256": digests}
        for name, content in files.items():
            write_bytes(f"{folder}/{name}", content)
        write_bytes(f"{folder}/{DOCUMENT}", json.dumps(document, indent=1, sort_keys=True).encode())

    @staticmethod
    def load(folder: str) -> "UpliftModel":
        """Raises FileNotFoundError where none was saved, InputError where a booster is not what was."""
        document = json.loads(read_bytes(f"{folder}/{DOCUMENT}"))
        files = {name: read_bytes(f"{folder}/{name}") for name in document["sha256"]}
        for name, content in files.items():
            if hashlib.sha256(content).hexdigest() != document["sha256"][name]:
                raise InputError(f"{folder}/{name} is not the booster that {DOCUMENT} describes: train again")
        treated, control = (booster_from(files[f"{side}.ubj"]) for side in _SIDES)
        return UpliftModel(treated, control, document["treated_share"], tuple(document["names"]))


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
