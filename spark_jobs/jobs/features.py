"""Job `features`: all of gold as seen from the night's as-of: users, segments, portraits, offer histories, items.

With `backfill_from` it makes every as-of from there to the night's, with `rebuild` from the first day of all streams.
"""

from collections.abc import Iterable
from datetime import date, timedelta

from pyspark.sql import SparkSession

from data_contracts.night import NightParams
from spark_jobs.features.behaviour_table import BEHAVIOUR
from spark_jobs.features.gold import OF_USERS, USERS, write_gold
from spark_jobs.features.offer_tables import HISTORY, ITEM_FEATURES
from spark_jobs.jobs.runner import JobReport, TableReport, main
from spark_jobs.lake.commits import newest_version
from spark_jobs.lake.plain import written_of_night
from spark_jobs.lake.tables import table_uri
from spark_jobs.monitoring.feature_drift import DRIFT, TRAINING, YESTERDAY, write_feature_drift
from spark_jobs.ranking.windows import windows_of_night

TABLES = (BEHAVIOUR, *OF_USERS, DRIFT, HISTORY, ITEM_FEATURES)


def run(spark: SparkSession, params: NightParams) -> JobReport:
    """As-ofs that are there already, as they would be made now, are left alone."""
    made = write_gold(spark, params, training=_training_as_ofs(params))
    drift = _drift_rows(spark, params, is_new=params.as_of in made.as_ofs)
    details = {USERS: {"features": made.features, "as_ofs_made": [as_of.isoformat() for as_of in made.as_ofs]}}
    return JobReport(
        tables={
            name: TableReport(
                {**made.record.rows, DRIFT: drift}.get(name, 0),
                version=newest_version(table_uri(params.lake, name)),
                details=details.get(name, {}),
            )
            for name in TABLES
        }
    )


def _drift_rows(spark: SparkSession, params: NightParams, *, is_new: bool) -> int:
    """Of the night; a backfill publishes nothing and is not held against anything."""
    if params.backfill_from is not None:
        return 0
    if not is_new and (known := written_of_night(params.lake, DRIFT, (), params.as_of)):
        return len(known)
    bases = {YESTERDAY: params.as_of - timedelta(days=1), TRAINING: windows_of_night(params).train.as_of}
    return write_feature_drift(spark, params.lake, as_of=params.as_of, bases=bases)


def _training_as_ofs(params: NightParams) -> Iterable[date]:
    """Where the product ranker will look from. A backfill makes what it was asked for and no more."""
    if params.backfill_from is not None:
        return ()
    windows = windows_of_night(params)
    return windows.train.as_of, windows.calibrate.as_of


if __name__ == "__main__":
    main(run)
