"""How the rankers that score a night fared on the newest cases whose labels are known: `night_quality.json` beside the
night's models, of every night, whether it trained or not.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

QUALITY_FILE = "night_quality.json"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Interval(_Value):
    """A value with the ends of its 95 % interval over users."""

    value: float
    low: float
    high: float


class FamilyCases(_Value):
    """positives: how many of the cases happened; predicted: how many the ranker expected to."""

    cases: int
    positives: int
    predicted: float


class RankerQuality(_Value):
    """model: which version was asked, in words. Labels lie in [start, end), users are seen as they were before.

    auc and log_loss (natural logarithm) are None where all cases happened, or none.
    """

    model: str
    start: datetime
    end: datetime
    users: int
    families: dict[str, FamilyCases]
    auc: Interval | None = None
    log_loss: Interval | None = None

    @property
    def cases(self) -> int:
        return sum(family.cases for family in self.families.values())

    @property
    def positives(self) -> int:
        return sum(family.positives for family in self.families.values())


class NightQuality(_Value):
    """By ranker (`products`, `offers`); unknown: why nothing is known of the others."""

    rankers: dict[str, RankerQuality] = {}
    unknown: dict[str, str] = {}

    @staticmethod
    def of(documents: Mapping[str, Mapping[str, Any]]) -> "NightQuality":
        """As it lies among the documents beside a night's models; empty where a night left none."""
        return NightQuality.model_validate(documents.get(QUALITY_FILE, {}))
