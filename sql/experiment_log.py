"""What an experiment's users were shown and did about it, from the day's logs."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa

from data_contracts.experiments import Experiment, bounds, salt_number, slice_of
from data_contracts.overlay.rows import micros
from sql.client import Store


@dataclass(frozen=True)
class ExperimentLog:
    """exposures: an answer a row (exposures_v1/of_experiment.sql); feedback: an event a row, also before `start`."""

    exposures: pa.Table
    feedback: pa.Table


def experiment_log(
    store: Store, experiment: Experiment, *, start: datetime, until: datetime, before: timedelta
) -> ExperimentLog:
    """`before`: how long before the start feedback is read, too."""
    layer, first, last = slice_of(experiment)
    dealt = {"layer": layer, "first": first, "last": last, "salt": salt_number(experiment.salt)}
    name, end = experiment.name, micros(until)
    window = {"from": micros(start), "until": end}
    earlier = {"from": micros(start - before), "until": end}
    return ExperimentLog(
        store.table("exposures_v1/of_experiment", name=name, bounds=list(bounds(experiment)), **dealt, **window),
        store.table("feedback_v1/of_experiment", name=name, **earlier),
    )
