"""Experiments: what runs (`*.yaml` here, or in RECS_EXPERIMENTS), who is in which arm, and what is drawn. Pure."""

from data_contracts.experiments.assign import Assignment, arm_numbers, assignments, bounds, salt_number, slice_of
from data_contracts.experiments.model import Arm, Experiment, Guardrail, Metric, Traits, experiments_in, running_on

__all__ = [
    "Arm",
    "Assignment",
    "Experiment",
    "Guardrail",
    "Metric",
    "Traits",
    "arm_numbers",
    "assignments",
    "bounds",
    "experiments_in",
    "running_on",
    "salt_number",
    "slice_of",
]
