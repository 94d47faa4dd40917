"""Job `features`: all of gold as seen from the night's as-of: users, segments, portraits, offer histories, items.

With `backfill_from` it makes every as-of from there to the night's, with `rebuild` from the first day of all streams.
"""

from pyspark.sql import SparkSession

from data_contracts.night import NightParams
from spark_jobs.features.behaviour_table import BEHAVIOUR
from spark_jobs.features.gold import OF_USERS, USERS
from spark_jobs.features.offer_tables import HISTORY, ITEM_FEATURES
from spark_jobs.jobs.runner import JobReport, TableReport, main
from spark_jobs.lake.commits import newest_version
from spark_jobs.lake.tables import table_uri
from spark_jobs.lifecycle.learned import write_features
from spark_jobs.monitoring.feature_drift import DRIFT

TABLES = (BEHAVIOUR, *OF_USERS, DRIFT, HISTORY, ITEM_FEATURES)


def run(spark: SparkSession, params: NightParams) -> JobReport:
    """As-ofs that are there already, as they would be made now, are left alone."""
    made, drift = write_features(spark, params)
    details = {USERS: {"features": made.features, "as_ofs_made": [as_of.isoformat() for as_of in made.as_ofs]}}
    return JobReport(
        tables={
            name: TableReport(
                {**made.rows, DRIFT: drift}.get(name, 0),
                version=newest_version(table_uri(params.lake, name)),
                details=details.get(name, {}),
            )
            for name in TABLES
        }
    )


if __name__ == "__main__":
    main(run)
