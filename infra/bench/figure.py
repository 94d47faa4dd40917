"""A measured figure, beside its reference and its goal."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Figure:
    """One number of a benchmark.

    `reference` was measured in the same run. `goal` speaks of the value, or of value / reference where `goal_on` is
    "ratio". `note` says what a reader must know to read the number.
    """

    name: str
    value: float
    unit: str
    reference: float | None = None
    goal: float | None = None
    better: Literal["lower", "higher"] = "lower"
    goal_on: Literal["value", "ratio"] = "value"
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return self.value / self.reference if self.reference else None

    @property
    def met(self) -> bool | None:
        """Whether the goal was reached; None without one."""
        measured = self.value if self.goal_on == "value" else self.ratio
        if self.goal is None or measured is None:
            return None
        return measured <= self.goal if self.better == "lower" else measured >= self.goal
