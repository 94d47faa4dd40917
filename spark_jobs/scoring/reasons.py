"""Why an item is listed: from what moved its score to at most two reason codes.

Belongs here: the map from feature names to codes and the choice of codes. Does not: the texts (reasons.yaml).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from data_contracts.catalogue import Reasons
from spark_jobs.ranking.kernel import F32

Codes = NDArray[np.uint16]

# Own-family and pair features also go by the area they come from: f_family_telemetry_views as f_telemetry_views.
_WRAPPERS = ("f_family_", "f_pair_")


@dataclass(frozen=True)
class Agreement:
    """Rows whose reasons were worked out exactly as well, and of how many the first reason was the same."""

    compared: int = 0
    agreeing: int = 0

    def __add__(self, other: "Agreement") -> "Agreement":
        return Agreement(self.compared + other.compared, self.agreeing + other.agreeing)


class ReasonCoder:
    """Codes for items scored by one booster, whose features reasons know by `names`.

    `booster_names`: the features' own names, where they are others.
    """

    def __init__(self, reasons: Reasons, names: Sequence[str], booster_names: Sequence[str] | None = None) -> None:
        self._names = list(booster_names or names)
        self._codes = np.array([0, *(reason.code for reason in reasons.reasons)], np.uint16)
        numbers = [_reason_number(reasons, name) for name in names]
        self._sums = np.zeros((len(numbers), len(self._codes)), np.float32)
        self._sums[np.arange(len(numbers)), numbers] = 1.0
        self._sums[:, 0] = 0.0

    def codes(self, booster: xgb.Booster, rows: F32, *, beside: Mapping[int, F32] | None = None) -> Codes:
        """`first | second << 8` for each row, 0 for none: the reasons that moved its margin up most.

        Contributions are Saabas' (the booster's `approx_contribs`), summed over the features of a reason. beside: by
        column, what its feature moved margins besides.
        """
        return self._codes_of(booster, rows, approximate=True, beside=beside or {})

    def agreement(self, booster: xgb.Booster, rows: F32) -> Agreement:
        """How often the first code is the one that exact contributions (TreeSHAP, `pred_contribs`) give, too."""
        told, exact = (
            self._codes_of(booster, rows, approximate=one, beside={}) & np.uint16(0xFF) for one in (True, False)
        )
        return Agreement(len(rows), int((told == exact).sum()))

    def _codes_of(self, booster: xgb.Booster, rows: F32, *, approximate: bool, beside: Mapping[int, F32]) -> Codes:
        if not len(rows) or not self._sums.any():
            return np.zeros(len(rows), np.uint16)
        data = xgb.DMatrix(rows, feature_names=self._names, nthread=1)
        moved = booster.predict(data, pred_contribs=True, approx_contribs=approximate, strict_shape=True)
        moved = moved.reshape(len(rows), -1)[:, :-1]
        for column, more in beside.items():
            moved[:, column] += more
        return two_codes(moved @ self._sums, self._codes)


def two_codes(moved: F32, codes: Codes) -> Codes:
    """The codes of the two columns with the largest positive values of each row; column 0 stands for no reason.

    Equal columns: the first wins, so the order of reasons.yaml decides.
    """
    places = np.argsort(-moved, axis=1, kind="stable")[:, :2]
    value = np.take_along_axis(moved, places, axis=1)
    best = np.where(value > 0, codes[places], 0).astype(np.uint16)
    second = best[:, 1] if best.shape[1] > 1 else np.zeros(len(best), np.uint16)
    return np.asarray(best[:, 0] | second << np.uint16(8), np.uint16)


def popular_code(reasons: Reasons) -> int:
    """The code that says an item is popular, 0 if there is none: the first whose name starts so."""
    return next((reason.code for reason in reasons.reasons if reason.name.startswith("popular")), 0)


def _reason_number(reasons: Reasons, name: str) -> int:
    """1-based position of the reason that a feature speaks for, by the longest prefix; 0 for none."""
    aliases = [name, *(f"f_{name.removeprefix(wrapper)}" for wrapper in _WRAPPERS if name.startswith(wrapper))]
    for alias in aliases:
        matches = [
            (len(prefix), -number)
            for number, reason in enumerate(reasons.reasons, start=1)
            for prefix in reason.prefixes
            if alias.startswith(prefix)
        ]
        if matches:
            return -max(matches)[1]
    return 0
