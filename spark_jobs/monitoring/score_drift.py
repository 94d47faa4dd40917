"""`gold.score_drift`: scores of tonight's lists and labels of its rankers, beside the last good night and training.

Scores are held against the last good night alone: what a ranker said when it was trained is what it was calibrated to.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from data_contracts.columns import AS_OF
from data_contracts.tables import contract
from spark_jobs.lake.tables import write_table
from spark_jobs.monitoring.feature_drift import YESTERDAY
from spark_jobs.monitoring.label_drift import label_drifts
from spark_jobs.monitoring.yesterday import Change

SCORE_DRIFT = "gold.score_drift"
# The document of each kind's ranker beside the night's models.
RANKERS = {"product": "products/ranker.json", "offer": "offers/document.json"}
Row = dict[str, Any]
Documents = Mapping[str, Mapping[str, Any]]


def score_drift_rows(changed: Mapping[str, Change], documents: Documents, before: Documents) -> Iterator[Row]:
    """changed: by kind; documents, before: beside tonight's models and beside those of the last good night, by path."""
    for kind, change in changed.items():
        numbers = {"psi": change.drift, "ks": change.ks, "mean": change.mean, "mean_then": change.mean_then}
        yield {"measure": f"{kind}_score", "against": YESTERDAY, **numbers}
    for kind, path in RANKERS.items():
        for drift in label_drifts(documents.get(path, {}), before.get(path, {})):
            numbers = {"psi": drift.psi, "ks": drift.ks, "mean": drift.share, "mean_then": drift.share_then}
            yield {"measure": f"{kind}_labels", "against": drift.against, **numbers}


def write_score_drift(spark: SparkSession, lake: str, rows: Sequence[Row], *, as_of: date) -> int:
    """Replace the as-of's rows; the Delta version."""
    columns = [column for column in contract(SCORE_DRIFT).columns if column.name != AS_OF]
    schema = ", ".join(f"{column.name} {column.type.value}" for column in columns)
    values = [tuple(row[column.name] for column in columns) for row in rows]
    frame = spark.createDataFrame(values, schema).withColumn(AS_OF, F.lit(as_of))
    return write_table(frame, lake, SCORE_DRIFT, partitions=[as_of])
