"""Experiments: what runs (`*.yaml` here, or in RECS_EXPERIMENTS), who is in which arm, and what is drawn. Pure."""

from data_contracts.experiments.assign import (
    Assignment,
    arm_numbers,
    assignments,
    bounds,
    chosen,
    salt_number,
    slice_of,
)
from data_contracts.experiments.explore import drawn, drawn_order
from data_contracts.experiments.model import (
    NO_TRIALS,
    Arm,
    Experiment,
    Guardrail,
    Metric,
    Traits,
    Trials,
    experiments_in,
    running_on,
)
from data_contracts.experiments.wanted import MADE_ON_DEMAND, Wanted, shown_from, wanted

__all__ = [
    "MADE_ON_DEMAND",
    "NO_TRIALS",
    "Arm",
    "Assignment",
    "Experiment",
    "Guardrail",
    "Metric",
    "Traits",
    "Trials",
    "Wanted",
    "arm_numbers",
    "assignments",
    "bounds",
    "chosen",
    "drawn",
    "drawn_order",
    "experiments_in",
    "running_on",
    "salt_number",
    "shown_from",
    "slice_of",
    "wanted",
]
