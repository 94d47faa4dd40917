"""`gold.score_drift`: scores of tonight's lists and labels of its newest cases, beside an earlier night and training.
`gold.product_score_drift`: the scores of each product, beside training.

Of scores, training is the first night of the version that scores tonight: what it said of the population when it came.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import date
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from data_contracts.columns import AS_OF, PRODUCT_ID
from data_contracts.models import RANKERS
from data_contracts.tables import contract
from spark_jobs.lake.tables import table_exists, write_table
from spark_jobs.monitoring.feature_drift import TRAINING, YESTERDAY
from spark_jobs.monitoring.label_drift import Documents, label_drifts
from spark_jobs.monitoring.model_scores import ScoreDrift
from spark_jobs.monitoring.yesterday import Change

SCORE_DRIFT, PRODUCT_SCORE_DRIFT = "gold.score_drift", "gold.product_score_drift"
Row = dict[str, Any]


def score_drift_rows(
    changed: Mapping[str, Change], since_training: Mapping[str, ScoreDrift], documents: Documents, before: Documents
) -> Iterator[Row]:
    """changed, since_training: by kind; documents, before: beside tonight's models and beside those of the last good
    night, by path.
    """
    for kind, change in changed.items():
        numbers = {"psi": change.drift, "ks": change.ks, "mean": change.mean, "mean_then": change.mean_then}
        yield {"measure": f"{kind}_score", "against": YESTERDAY, **numbers}
    for kind, moved in since_training.items():
        numbers = {"psi": moved.psi, "ks": moved.ks, "mean": moved.mean, "mean_then": moved.mean_then}
        yield {"measure": f"{kind}_score", "against": TRAINING, **numbers}
    for kind in RANKERS:
        for drift in label_drifts(kind, documents, before):
            numbers = {"psi": drift.psi, "ks": drift.ks, "mean": drift.share, "mean_then": drift.share_then}
            yield {"measure": f"{kind.removesuffix('s')}_labels", "against": drift.against, **numbers}


def product_rows(since_training: Mapping[str, ScoreDrift]) -> Iterator[Row]:
    """since_training: by product."""
    return ({PRODUCT_ID: name, **asdict(moved)} for name, moved in since_training.items())


def write_score_drift(
    spark: SparkSession, lake: str, rows: Iterable[Row], *, as_of: date, table: str = SCORE_DRIFT
) -> None:
    """Replace the as-of's rows; nothing is made of none where there is no table yet."""
    columns = [column for column in contract(table).columns if column.name != AS_OF]
    values = [tuple(row[column.name] for column in columns) for row in rows]
    if not values and not table_exists(lake, table):
        return
    schema = ", ".join(f"{column.name} {column.type.value}" for column in columns)
    frame = spark.createDataFrame(values, schema).withColumn(AS_OF, F.lit(as_of))
    write_table(frame, lake, table, partitions=[as_of])
