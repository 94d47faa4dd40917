"""Nights of the features job: folded on from the night before, made good after late days, and equal to a rebuild."""

import random
import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from delta import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from data_contracts.manifest import MANIFEST_FILE, GateVerdict, Manifest
from data_contracts.night import NightParams, Sources
from data_contracts.tables import contract
from data_contracts.vocabulary import ProductEvent
from infra.features import feature_rows
from spark_jobs.features.days import dates
from spark_jobs.features.gold import write_gold
from spark_jobs.features.increments import read_records
from spark_jobs.lake.commits import newest_version
from spark_jobs.lake.files import write_bytes
from spark_jobs.lake.plain import written_of_night
from spark_jobs.lake.tables import read_table, table_uri, write_table
from spark_jobs.lifecycle.learned import write_features
from spark_jobs.monitoring import feature_drift
from spark_jobs.monitoring.feature_drift import DRIFT, YESTERDAY
from tests.sealed_nights import publish_stopped, seal_stopped

FIRST, LAST = date(2026, 3, 2), date(2026, 3, 9)
USERS = range(1, 7)
STATES = ("gold.user_behaviour", "gold.user_features", "gold.user_history", "gold.item_features")
Row = Mapping[str, Any]


def day_rows(day: date, seed: int) -> dict[str, list[Row]]:
    """What happened on a day: offers met, things bought, steps to products."""
    draw = random.Random(f"{day} {seed}")
    start = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=3)

    def when() -> datetime:
        return start + timedelta(seconds=draw.randrange(86_400))

    met = [("offers", "view", f"offer_{draw.randrange(4)}") for _ in range(12)]
    met += [("offers", "click", "offer_1"), ("payments", "purchase", "brand:5"), ("telemetry", "view", "card_gold")]
    seen = [
        {"user_id": draw.choice(USERS), "domain": domain, "action": action, "item_id": item, "weight": 1.0}
        | {"event_time": when(), "day": day}
        for domain, action, item in met
    ]
    steps = [
        {"event_id": f"{day} {n}", "user_id": draw.choice(USERS), "product_id": "card_gold"}
        | {"event_type": draw.choice(list(ProductEvent)).value, "event_time": when(), "day": day}
        for n in range(3)
    ]
    return {"silver.interactions": seen, "silver.product_events": steps}


class Lake:
    """A lake with streams only, whose days are delivered one by one."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self.spark, self.uri = spark, str(folder)

    def deliver(self, days: Sequence[date], seed: int = 1) -> None:
        tables: dict[str, list[Row]] = {}
        for day in days:
            for name, rows in day_rows(day, seed).items():
                tables.setdefault(name, []).extend(rows)
        for name, rows in tables.items():
            columns = contract(name).column_names
            frame = self.spark.createDataFrame([tuple(row.get(c) for c in columns) for row in rows], contract(name).ddl)
            write_table(frame, self.uri, name, partitions=days)

    def night(self, as_of: date, **more: Any) -> tuple[date, ...]:
        params = NightParams(as_of=as_of, lake=self.uri, sources=Sources(tecd="none"), **more)
        return write_gold(self.spark, params, training=()).as_ofs

    def tables(self, as_ofs: Iterable[date]) -> dict[str, list[Any]]:
        """Rows of every state at these as-ofs."""
        held = F.col("as_of").isin([*as_ofs])
        rows = {name: read_table(self.spark, self.uri, name).where(held).collect() for name in STATES}
        return {name: sorted(found, key=lambda row: (row["as_of"], row[0])) for name, found in rows.items()}

    def versions(self) -> dict[str, int | None]:
        return {name: newest_version(table_uri(self.uri, name)) for name in STATES}


@pytest.fixture(scope="module")
def nightly(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Two nights in a row, the second on the state of the first; then an earlier day is delivered anew, and a third."""
    lake = Lake(spark, tmp_path_factory.mktemp("nightly"))
    lake.deliver(list(dates(FIRST, LAST - timedelta(days=3))))
    assert lake.night(LAST - timedelta(days=2)) == (LAST - timedelta(days=2),)
    lake.deliver([LAST - timedelta(days=2)])
    assert lake.night(LAST - timedelta(days=1)) == (LAST - timedelta(days=1),)
    lake.deliver([LAST - timedelta(days=1)])
    lake.deliver([LAST - timedelta(days=2)], seed=2)
    return lake


def test_a_night_after_a_late_day_forgets_the_nights_that_had_not_seen_it(nightly: Lake) -> None:
    assert nightly.night(LAST) == (LAST,)
    assert LAST - timedelta(days=1) not in read_records(nightly.uri)


def test_a_night_that_is_run_again_makes_nothing_anew(nightly: Lake) -> None:
    nightly.night(LAST)
    before = nightly.versions()
    assert nightly.night(LAST) == ()
    assert nightly.versions() == before


def test_after_a_backfill_of_the_nights_between_all_are_what_a_rebuild_from_nothing_gives(nightly: Lake) -> None:
    nightly.night(LAST)
    first = LAST - timedelta(days=1)
    assert nightly.night(LAST, backfill_from=first) == (first,)
    told = nightly.tables([first, LAST])
    assert min(sum(row["as_of"] == day for row in rows) for rows in told.values() for day in (first, LAST)) > 2
    assert nightly.night(LAST, backfill_from=first, rebuild=True) == (first, LAST)
    assert nightly.tables([first, LAST]) == told


def test_what_a_night_saw_of_its_features_is_read_without_spark_also_after_compaction(nightly: Lake) -> None:
    nightly.night(LAST)
    told = {row["feature"]: row for row in feature_rows(nightly.uri)}
    assert told["f_offers_view_7d"]["as_of"] == LAST.isoformat()
    assert told["f_offers_view_7d"]["null_share"] == 0 < told["f_offers_view_7d"]["p99"]
    assert told["f_money_turnover"]["null_share"] == 1
    profile = DeltaTable.forPath(nightly.spark, table_uri(nightly.uri, "gold.feature_profile"))
    profile.optimize().executeCompaction()
    assert {row["feature"]: row for row in feature_rows(nightly.uri)} == told


def test_features_of_a_past_as_of_stay_when_the_states_that_they_were_made_from_have_expired(nightly: Lake) -> None:
    nightly.night(LAST)
    past = LAST - timedelta(days=1)
    tonight = NightParams(as_of=LAST, lake=nightly.uri, sources=Sources(tecd="none"))
    write_gold(nightly.spark, tonight, training=[past])
    states = DeltaTable.forPath(nightly.spark, table_uri(nightly.uri, "gold.user_behaviour"))
    states.delete(F.col("as_of") < F.lit(LAST))
    assert write_gold(nightly.spark, tonight, training=[past]).as_ofs == ()


def seal(params: NightParams, *, passed: bool) -> None:
    verdict = GateVerdict(passed=passed)
    told = {"snapshot_id": params.snapshot_id, "as_of": params.as_of, "cut_off": params.cut_off}
    manifest = Manifest(**told, created_at=params.cut_off, tables={}, gate=verdict)
    write_bytes(f"{params.snapshot_uri}/{MANIFEST_FILE}", manifest.to_json().encode())


def test_features_are_held_against_the_last_night_that_passed_and_against_the_day_before_where_its_are_gone(
    nightly: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_drift, "FEWEST_USERS", 3)
    nightly.night(LAST)
    spark, lake = nightly.spark, shutil.copytree(nightly.uri, str(tmp_path / "lake"))
    good, broken, tonight = (
        NightParams(as_of=LAST - timedelta(days=ago), lake=lake, sources=Sources(tecd="none")) for ago in (2, 1, 0)
    )

    def held_against() -> set[date]:
        write_features(spark, tonight)
        return {row["then_as_of"] for row in written_of_night(lake, DRIFT, ("then_as_of",), LAST)}

    seal(good, passed=True)
    seal(broken, passed=False)
    features = DeltaTable.forPath(spark, table_uri(lake, "gold.user_features"))
    features.delete(F.col("as_of") == F.lit(good.as_of))
    assert held_against() == {broken.as_of}
    write_gold(spark, tonight, training=[good.as_of], with_nights=False)
    assert held_against() == {good.as_of}
    seal(broken.model_copy(update={"attempt": 2}), passed=True)
    assert held_against() == {broken.as_of}


@pytest.mark.chaos  # a minute and a half; the decision itself is in test_seal_let_pass
def test_a_feature_whose_fault_was_let_pass_is_held_against_that_night_and_others_against_the_last_that_passed(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd_one = "f_offers_view_7d"
    monkeypatch.setattr(feature_drift, "FEWEST_USERS", 3)
    monkeypatch.setattr(feature_drift, "FAULTS", {"features_rescaled": lambda row: row["feature"] == odd_one})
    lake = Lake(spark, tmp_path)
    lake.deliver(list(dates(FIRST, LAST - timedelta(days=1))))
    good, odd, tonight = (
        NightParams(as_of=LAST - timedelta(days=ago), lake=lake.uri, sources=Sources(tecd="none")) for ago in (2, 1, 0)
    )

    def held_against() -> dict[str, date]:
        write_features(spark, tonight)
        rows = written_of_night(lake.uri, DRIFT, ("feature", "against", "then_as_of"), LAST)
        return {row["feature"]: row["then_as_of"] for row in rows if row["against"] == YESTERDAY}

    write_gold(spark, tonight, training=[good.as_of], with_nights=False)
    seal_stopped(good)
    write_features(spark, odd)
    seal_stopped(odd, "features_rescaled")
    assert {*held_against().values()} == {good.as_of}
    publish_stopped(odd)
    held = held_against()
    assert held.pop(odd_one) == odd.as_of
    assert {*held.values()} == {good.as_of}
