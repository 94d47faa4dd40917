"""How often what the rankers predict happens: the share of tonight's newest cases beside that of the last good night,
of all and of each family, and beside training.

A yes or no has two bins, so its stability index and its Kolmogorov-Smirnov distance follow from the two shares.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_contracts.gate import gate_rules
from data_contracts.quality import NightQuality
from spark_jobs.monitoring.feature_drift import TRAINING, YESTERDAY

# Questions of the gate: what was let pass of one is held against that night.
SINCE_YESTERDAY = tuple(name for name in gate_rules() if name.endswith(f"_labels_since_{YESTERDAY}"))
# Where by the larger share fewer would have happened, on either side, shares say little.
FEWEST_POSITIVES = 100
# What each ranker says of its training, beside the night's models.
_TRAININGS = {"products": "products/ranker.json", "offers": "offers/document.json"}
Documents = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class LabelDrift:
    """Shares of cases that happened, then and now, neither 0 nor 1; `times`: how much larger the larger one is. family:
    of which alone, "" of all together.
    """

    against: str
    share: float
    share_then: float
    family: str = ""

    @property
    def psi(self) -> float:
        return float((self.share - self.share_then) * (_log_odds(self.share) - _log_odds(self.share_then)))

    @property
    def ks(self) -> float:
        return abs(self.share - self.share_then)

    @property
    def times(self) -> float:
        return max(self.share, self.share_then) / min(self.share, self.share_then)


@dataclass(frozen=True)
class _Counted:
    cases: float
    positives: float

    @property
    def share(self) -> float:
        """Half a case is the least that happens, and that does not, so that what went missing whole has a share too."""
        return min(max(self.positives, 0.5), self.cases - 0.5) / self.cases


def label_drifts(kind: str, documents: Documents, before: Documents) -> Iterator[LabelDrift]:
    """kind: products or offers; documents, before: those beside tonight's models and beside those of the last good
    night, by path. What either does not know is not told.
    """
    now, then = (_counted(kind, one).get("") for one in (documents, before))
    yield from _told(YESTERDAY, now, then)
    yield from _told(TRAINING, now, _learned(documents.get(_TRAININGS[kind], {})))


def family_drifts(kind: str, documents: Documents, before: Documents) -> Iterator[LabelDrift]:
    """As `label_drifts`, of each family alone, since the last good night."""
    now, then = (_counted(kind, one) for one in (documents, before))
    for name in now.keys() - {""}:
        yield from _told(YESTERDAY, now[name], then.get(name), family=name)


def _told(against: str, now: _Counted | None, then: _Counted | None, *, family: str = "") -> Iterator[LabelDrift]:
    if now is None or then is None:
        return
    if min(now.cases, then.cases) * max(now.share, then.share) >= FEWEST_POSITIVES:
        yield LabelDrift(against, now.share, then.share, family)


def _counted(kind: str, documents: Documents) -> dict[str, _Counted]:
    """Newest cases by family, and of all together (""); nothing where there are none."""
    found = NightQuality.of(documents).rankers.get(kind)
    if found is None or not found.cases:
        return {}
    families = {name: _Counted(one.cases, one.positives) for name, one in found.families.items()}
    return {"": _Counted(found.cases, found.positives), **families}


def _learned(document: Mapping[str, Any]) -> _Counted | None:
    """None where the document does not say what share of its negatives was kept (`margin_shift`, its log)."""
    facts, kept = document.get("facts", {}), document.get("margin_shift")
    positives, rows = float(facts.get("training_positives", 0)), float(facts.get("training_rows", 0))
    if kept is None or not rows:
        return None
    return _Counted(positives + (rows - positives) / float(np.exp(kept)), positives)


def _log_odds(share: float) -> float:
    return float(np.log(share) - np.log1p(-share))
