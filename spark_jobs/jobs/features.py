"""Job `features`: all of gold as seen from the night's as-of: users, segments, portraits, offer histories, items."""

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from data_contracts.columns import AS_OF
from data_contracts.night import NightParams
from spark_jobs.features.base import Moment
from spark_jobs.features.engine import user_features
from spark_jobs.features.offer_tables import HISTORY, ITEM_FEATURES, write_offer_tables
from spark_jobs.features.portraits import portraits
from spark_jobs.features.registry import all_features
from spark_jobs.features.segments import segments
from spark_jobs.features.silver import read_silver
from spark_jobs.jobs.runner import JobReport, TableReport, main
from spark_jobs.lake.actions import at_once
from spark_jobs.lake.tables import read_table, rows_written, write_table

USERS, SEGMENTS, PORTRAITS = "gold.user_features", "gold.segments", "gold.portraits"


def run(spark: SparkSession, params: NightParams) -> JobReport:
    """Segments and portraits are made from the features as written, so they agree with them to the last bit."""
    silver, moment = read_silver(spark, params.lake), Moment(params.as_of, params.cut_off)

    def write(frame: DataFrame, name: str) -> TableReport:
        version = write_table(frame, params.lake, name, partitions=[params.as_of])
        return TableReport(rows_written(params.lake, name), version=version)

    def write_users() -> tuple[TableReport, TableReport, TableReport]:
        users = write(user_features(silver, as_of=params.as_of, cut_off=params.cut_off), USERS)
        features = read_table(spark, params.lake, USERS).where(F.col(AS_OF) == F.lit(params.as_of))
        of_segments, of_portraits = at_once(
            lambda: write(segments(features), SEGMENTS), lambda: write(portraits(features, silver, moment), PORTRAITS)
        )
        return users, of_segments, of_portraits

    (users, of_segments, of_portraits), offers = at_once(write_users, lambda: write_offer_tables(spark, params))
    return JobReport(
        tables={
            USERS: TableReport(users.rows, version=users.version, details={"features": len(all_features(silver))}),
            SEGMENTS: of_segments,
            PORTRAITS: of_portraits,
            HISTORY: TableReport(offers.users, version=offers.history_version),
            ITEM_FEATURES: TableReport(offers.items, version=offers.items_version),
        }
    )


if __name__ == "__main__":
    main(run)
