"""What a source usually delivers is told from its own past, and half of it missing is caught whatever the weekday."""

import json
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts.gate import gate_rules
from data_contracts.night import NightParams, Sources
from spark_jobs.ingest.ledger import DELIVERIES
from spark_jobs.lake.files import write_bytes
from spark_jobs.lake.tables import table_uri
from spark_jobs.monitoring.source_rows import SOURCE_ROWS, Deliveries, SourceRows, source_rows, tonights_rows
from tests.sealed_nights import publish_stopped, seal_stopped

NIGHT = date(2026, 3, 16)
RULE = gate_rules()[SOURCE_ROWS]
EVENTS, EXPORT = "product_events", "customers"


def ago(days: int) -> date:
    return NIGHT - timedelta(days=days)


def days(rows: int = 1_000, *, many: int = 40, **other: int) -> dict[date, int]:
    """The same rows on each day up to the night; other: `ago_3=50`, rows of the day three days before the night."""
    return {ago(back): rows for back in range(1, many + 1)} | {
        ago(int(name.removeprefix("ago_"))): rows for name, rows in other.items()
    }


def share(of: Mapping[date, int], source: str = EVENTS, **more: frozenset[date]) -> float | None:
    found = source_rows(Deliveries({source: of}, **more), source, NIGHT)
    return None if found is None else found.share


@pytest.mark.parametrize(("rows", "holds"), [(1_100, True), (700, True), (500, False), (0, False)])
def test_half_a_source_is_caught_and_a_slow_day_is_not(rows: int, holds: bool) -> None:
    found = share(days(ago_1=rows))
    assert found == rows / 1_000
    assert RULE.holds(found) == holds


def test_a_day_is_held_against_its_own_weekday_where_there_are_enough_of_it() -> None:
    sundays = {ago(back): 400 for back in (1, 8, 15, 22)}
    assert share(days() | sundays) == 1.0
    assert share(days(many=20) | {day: 400 for day in sundays if day > ago(21)}) == 0.4


def test_few_days_few_rows_or_none_are_no_measure() -> None:
    assert share(days(many=3)) is None
    assert share(days(many=4)) == 1.0
    assert share(days(rows=199, ago_1=0)) is None
    assert source_rows(Deliveries({EVENTS: {}}), EVENTS, NIGHT) is None


def test_a_source_that_stays_away_alone_has_no_rows_and_days_that_nobody_delivered_are_asked_of_nobody() -> None:
    without = {day: rows for day, rows in days().items() if day != ago(1)}
    found = source_rows(Deliveries({EVENTS: without, "telemetry": days()}), EVENTS, NIGHT)
    assert found == SourceRows(EVENTS, ago(1), rows=0, usual=1_000)
    assert share(without) == 1.0


def test_exports_are_told_by_their_own_newest_day() -> None:
    weekly = {ago(back): 1_000 for back in (0, 7, 14, 21, 28)}
    assert share(weekly | {NIGHT: 450}, EXPORT) == 0.45
    assert share({day: rows for day, rows in weekly.items() if day != NIGHT}, EXPORT) == 1.0


def test_days_of_nights_that_were_stopped_are_no_measure() -> None:
    halved = days(many=8, **{f"ago_{back}": 500 for back in range(1, 6)})
    assert share(halved) == 1.0
    assert share(halved, stopped=frozenset(ago(back) for back in range(1, 5))) == 0.5


def test_a_source_that_shrank_and_was_let_pass_is_usual_from_then_on_and_others_keep_their_past() -> None:
    shrunk = days(ago_3=500, ago_2=510, ago_1=490)
    let_pass = frozenset([ago(2)])  # the night that saw the day three days ago
    assert share(shrunk) == 0.49
    assert share(shrunk, stopped=let_pass, let_pass=let_pass) == pytest.approx(490 / 505)
    assert share(days(ago_3=500, ago_2=510, ago_1=250), stopped=let_pass, let_pass=let_pass) == pytest.approx(250 / 505)
    assert share(days(ago_1=490), stopped=let_pass, let_pass=let_pass) == 0.49


def test_the_ledger_and_the_verdicts_of_past_nights_are_read_from_the_lake(tmp_path: Path) -> None:
    params = NightParams(as_of=NIGHT, lake=str(tmp_path), sources=Sources(events="unread"))
    ledger = days(ago_1=500, ago_2=500)
    write_ledger(params, {EVENTS: ledger, EXPORT: days(ago_1=1)})
    assert [(one.source, one.day, one.rows, one.usual) for one in tonights_rows(params)] == [
        (EVENTS, ago(1), 500, 1_000)
    ]
    yesterday = params.model_copy(update={"as_of": ago(1)})
    seal_stopped(yesterday, SOURCE_ROWS)
    assert [one.usual for one in tonights_rows(params)] == [1_000]
    publish_stopped(yesterday)
    assert [one.usual for one in tonights_rows(params)] == [500]


def write_ledger(params: NightParams, by_source: Mapping[str, Mapping[date, int]]) -> None:
    """`bronze.deliveries` as one commit of Delta; a tenth of what was delivered went to quarantine."""
    rows = [
        {"source": source, "day": day, "rows": rows + rows // 10, "quarantined": rows // 10}
        for source, of in by_source.items()
        for day, rows in of.items()
    ]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    uri = table_uri(params.lake, DELIVERIES)
    write_bytes(f"{uri}/part-0.parquet", sink.getvalue().to_pybytes())
    added = {"path": "part-0.parquet", "partitionValues": {}, "size": 1}
    write_bytes(f"{uri}/_delta_log/{0:020d}.json", json.dumps({"add": added}).encode())
