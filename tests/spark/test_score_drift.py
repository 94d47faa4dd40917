"""The drift of scores and labels lies in Delta, a night's rows replaced by its next attempt."""

from datetime import date
from pathlib import Path

from pyspark.sql import SparkSession

from spark_jobs.lake.plain import last_written, written_of_night
from spark_jobs.lake.tables import read_table, table_exists
from spark_jobs.monitoring.feature_drift import TRAINING, YESTERDAY
from spark_jobs.monitoring.score_drift import PRODUCT_SCORE_DRIFT, SCORE_DRIFT, write_score_drift

NIGHT = date(2026, 3, 16)


def test_a_nights_rows_replace_those_of_its_earlier_attempt_and_of_no_other_night(
    spark: SparkSession, tmp_path: Path
) -> None:
    row = {"measure": "product_labels", "against": YESTERDAY, "psi": 0.1, "ks": 0.2, "mean": 0.3, "mean_then": 0.4}
    lake = str(tmp_path)
    write_score_drift(spark, lake, [row, {**row, "against": TRAINING}], as_of=date(2026, 3, 15))
    write_score_drift(spark, lake, [row, {**row, "against": TRAINING}], as_of=NIGHT)
    write_score_drift(spark, lake, [{**row, "ks": 0.5}], as_of=NIGHT)
    assert last_written(lake, SCORE_DRIFT, ["as_of", *row]) == [{**row, "ks": 0.5, "as_of": NIGHT.isoformat()}]
    assert read_table(spark, lake, SCORE_DRIFT).count() == 3
    write_score_drift(spark, lake, [], as_of=NIGHT)
    assert written_of_night(lake, SCORE_DRIFT, ["measure"], NIGHT) == []
    write_score_drift(spark, lake, [], as_of=NIGHT, table=PRODUCT_SCORE_DRIFT)
    assert not table_exists(lake, PRODUCT_SCORE_DRIFT)
