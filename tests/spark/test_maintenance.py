"""Upkeep takes away what a contract lets expire, what a reader no longer needs, and no row besides."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from data_contracts.events import TOPICS
from data_contracts.night import NightParams, Sources
from data_contracts.settings import Settings
from data_contracts.tables import contract, table_names
from spark_jobs.features.offer_tables import WINDOW_DAYS
from spark_jobs.ingest.deliveries import STALE_DAYS
from spark_jobs.jobs.maintenance import expire_landed
from spark_jobs.lake.commits import changed_days, last_write, newest_version
from spark_jobs.lake.maintenance import Limits, Table, Upkeep, expire_folders, maintain
from spark_jobs.ranking.windows import MIN_HISTORY_DAYS, windows_of_night

AS_OF = date(2026, 3, 16)
DAYS = [AS_OF - timedelta(days=days) for days in (40, 30, 1)]


@pytest.fixture(scope="module")
def kept(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Table, Upkeep, int]:
    """A table of three days, the last in four files, kept up with a retention of 30 days."""
    uri = str(tmp_path_factory.mktemp("upkeep") / "silver" / "things")
    table = Table("silver.things", uri, "day", retention_days=30)
    rows = [(user, day) for day in DAYS for user in range(4)]
    frame = spark.createDataFrame(rows, "user_id bigint, day date").repartition(4, "user_id")
    frame.write.format("delta").partitionBy("day").option("userMetadata", "as the writer said").save(uri)
    version = newest_version(uri) or 0
    return table, maintain(spark, table, as_of=AS_OF, limits=Limits(small_files=1, vacuum_hours=0)), version


def test_days_past_their_retention_are_gone_and_no_row_besides(
    spark: SparkSession, kept: tuple[Table, Upkeep, int]
) -> None:
    table, done, _ = kept
    left = spark.read.format("delta").load(table.uri).groupBy("day").count().collect()
    assert {row["day"]: row["count"] for row in left} == {DAYS[1]: 4, DAYS[2]: 4}
    assert done.expired_rows == 4


def test_crowded_partitions_are_one_file_each_and_old_files_are_gone(kept: tuple[Table, Upkeep, int]) -> None:
    table, done, _ = kept
    for day in DAYS[1:]:
        assert len(list(Path(table.uri).glob(f"day={day}/*.parquet"))) == 1
    assert list(Path(table.uri).glob(f"day={DAYS[0]}/*.parquet")) == []
    assert done.compacted_partitions == 2
    assert done.files_removed > 2


def test_nobody_who_adds_up_days_has_to_add_again(kept: tuple[Table, Upkeep, int]) -> None:
    table, _, version = kept
    assert changed_days(table.uri, after=version) == ()
    written = last_write(table.uri)
    assert written is not None
    assert written.note == "as the writer said"


def test_a_second_upkeep_finds_nothing_to_do(spark: SparkSession, kept: tuple[Table, Upkeep, int]) -> None:
    table, _, _ = kept
    version = newest_version(table.uri)
    again = maintain(spark, table, as_of=AS_OF, limits=Limits(small_files=1, vacuum_hours=0))
    assert again == Upkeep("silver.things", 0, 0, 0, 0)
    assert newest_version(table.uri) == version


def test_landed_days_go_and_what_is_no_day_stays(tmp_path: Path) -> None:
    for name in ("2026-03-01", "2026-03-15", "offsets"):
        (tmp_path / name / "07").mkdir(parents=True)
    assert expire_folders(str(tmp_path), before=date(2026, 3, 10)) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2026-03-15", "offsets"]
    assert expire_folders(str(tmp_path / "nothing"), before=AS_OF) == 0


def test_every_landed_topic_expires(tmp_path: Path) -> None:
    for topic in TOPICS:
        for day in (AS_OF - timedelta(days=1), AS_OF - timedelta(days=3000)):
            (tmp_path / "landing" / topic / f"{day}" / "07").mkdir(parents=True)
    params = NightParams(as_of=AS_OF, lake=str(tmp_path), sources=Sources(events="events"), product_horizon_days=7)
    assert expire_landed(params, Settings()) == len(TOPICS)
    assert {path.name for path in tmp_path.glob("landing/*/*")} == {f"{AS_OF - timedelta(days=1)}"}


@pytest.mark.parametrize("name", [name for name in table_names() if contract(name).retention_days is not None])
def test_no_contract_lets_expire_what_a_night_reads(name: str) -> None:
    """Days of events as far back as the product ranker's earliest look with history before it, and that look's own
    features; whatever else a night made, as far back as a night may go on from.
    """
    settings = Settings()
    params = NightParams(
        as_of=AS_OF,
        lake="lake",
        sources=Sources(tecd="tecd"),
        product_horizon_days=settings.product_horizon_days,
        gap_hours=settings.gap_hours,
    )
    trained = (AS_OF - windows_of_night(params).train.as_of).days + MIN_HISTORY_DAYS
    looked_back = max(trained, WINDOW_DAYS)
    retention = contract(name).retention_days or 0
    is_remade = name.startswith("gold.") and name != "gold.user_features"
    assert retention > (STALE_DAYS if is_remade else looked_back)
