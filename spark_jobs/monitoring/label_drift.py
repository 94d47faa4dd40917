"""How often what the rankers predict happens: tonight's share of cases beside those of the last good night and of
training.

A yes or no has two bins, so its stability index and its Kolmogorov-Smirnov distance follow from the two shares.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_contracts.gate import gate_rules
from spark_jobs.monitoring.feature_drift import TRAINING, YESTERDAY

# Questions of the gate: what was let pass of one is held against that night.
SINCE_YESTERDAY = tuple(name for name in gate_rules() if name.endswith(f"_labels_since_{YESTERDAY}"))
# Of fewer that happened a share says little.
FEWEST_POSITIVES = 100


@dataclass(frozen=True)
class LabelDrift:
    """Shares of cases that happened, then and now; `times`: how much larger the larger one is."""

    against: str
    share: float
    share_then: float

    @property
    def psi(self) -> float:
        return float((self.share - self.share_then) * (_log_odds(self.share) - _log_odds(self.share_then)))

    @property
    def ks(self) -> float:
        return abs(self.share - self.share_then)

    @property
    def times(self) -> float:
        return max(self.share, self.share_then) / min(self.share, self.share_then)


def label_drifts(document: Mapping[str, Any], before: Mapping[str, Any]) -> Iterator[LabelDrift]:
    """document, before: of tonight's ranker and of that of the last good night, as they lie beside the models.

    Of training only where the document says what share of its negatives was kept (`margin_shift`, its log).
    """
    facts, kept = document.get("facts", {}), document.get("margin_shift")
    now = _share(facts, "calibration")
    bases = {YESTERDAY: _share(before.get("facts", {}), "calibration")}
    if kept is not None:
        bases[TRAINING] = _share(facts, "training", kept=float(np.exp(kept)))
    for against, then in bases.items():
        if now is not None and then is not None:
            yield LabelDrift(against, now, then)


def _share(facts: Mapping[str, Any], part: str, *, kept: float = 1.0) -> float | None:
    """None where too few happened, or all did."""
    positives, rows = float(facts.get(f"{part}_positives", 0)), float(facts.get(f"{part}_rows", 0))
    negatives = (rows - positives) / kept
    return positives / (positives + negatives) if positives >= FEWEST_POSITIVES and negatives > 0 else None


def _log_odds(share: float) -> float:
    return float(np.log(share) - np.log1p(-share))
