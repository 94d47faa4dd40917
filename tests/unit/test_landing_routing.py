"""Which folder an event lands in: its local day and hour, or quarantine by the hour of its arrival."""

import contextlib
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.settings import Settings
from infra.erasing import _landed
from spark_jobs.ingest.sources import PATTERNS, Layout
from spark_jobs.lake.erased_files import landed_rows
from spark_jobs.landing.files import ARRIVED, REJECTED, FencedError, LandedFiles, SeenKeys, Shard, avro_file
from spark_jobs.landing.routing import LANDING, QUARANTINE, Place, Router
from tests.integration.landing_bank import event

MOSCOW = ZoneInfo("Europe/Moscow")
ROUTER = Router("Europe/Moscow", late_days=7, skew_seconds=300)
DAY = 86_400_000_000


def micros(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=MOSCOW).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("happened", "arrived", "folder", "reason"),
    [
        ("2026-03-15T07:59:59", "2026-03-15T08:00:00", "landing/t/2026-03-15/07", ""),
        ("2026-03-15T00:00:00", "2026-03-15T00:00:00", "landing/t/2026-03-15/00", ""),
        ("2026-03-08T00:00:00", "2026-03-15T23:59:59", "landing/t/2026-03-08/00", ""),
        ("2026-03-07T23:59:59", "2026-03-15T00:00:00", "quarantine/landing/t/2026-03-15/00", "7 days late"),
        ("2026-03-15T08:05:00", "2026-03-15T08:00:00", "landing/t/2026-03-15/08", ""),
        ("2026-03-15T08:05:01", "2026-03-15T08:00:00", "quarantine/landing/t/2026-03-15/08", "300 s ahead"),
    ],
)
def test_days_are_those_of_the_bank_and_lateness_counts_in_them(
    happened: str, arrived: str, folder: str, reason: str
) -> None:
    place = ROUTER.place("t", micros(happened), micros(arrived))
    assert place.folder == folder
    assert reason in place.reason and bool(reason) == bool(place.reason)


@given(st.integers(-(2**63), 2**63 - 1))
def test_any_number_that_claims_to_be_a_time_has_a_place(event_time: int) -> None:
    arrived = micros("2026-03-15T08:00:00")
    place = ROUTER.place("t", event_time, arrived)
    assert place.reason or abs(event_time - arrived) <= 8 * DAY


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "America/St_Johns", "UTC", "Europe/Berlin"])
@given(st.integers(0, 1_800_000_000))
def test_quarters_of_an_hour_are_enough_for_every_zone(zone: str, second: int) -> None:
    at = datetime.fromtimestamp(second, UTC).astimezone(ZoneInfo(zone))
    assert Router(zone, 7, 300).place("t", second * 1_000_000, second * 1_000_000) == Place(
        f"landing/t/{at:%Y-%m-%d}/{at:%H}"
    )


def test_landed_files_are_where_ingest_looks_for_them_and_staged_ones_are_not(tmp_path: Path) -> None:
    files, shard = LandedFiles(str(tmp_path), "group"), Shard("bank.transactions", 3)
    place = ROUTER.place(shard.topic, micros("2026-03-15T07:00:00"), micros("2026-03-15T07:00:00"))
    content = avro_file(shard.topic, [event(shard.topic, "one", at=0)], is_quarantined=False)
    files.stage(shard, "flush", {f"{place.folder}/{shard.prefix}x.avro": content})
    assert not (tmp_path / "landing/bank.transactions").exists()
    for _ in range(2):
        files.publish(shard, "flush")
    (path,) = (tmp_path / "landing/bank.transactions").rglob("*.avro")
    within = path.relative_to(tmp_path / "landing/bank.transactions").as_posix()
    assert re.fullmatch(PATTERNS[Layout.HOURLY], within)
    assert files.keys(shard, place.folder) == {"one"}
    assert files.keys(Shard(shard.topic, 4), place.folder) == set()


def test_two_who_tidy_up_the_same_staging_do_not_stumble_over_each_other(tmp_path: Path) -> None:
    files, shard = LandedFiles(str(tmp_path), "group"), Shard("bank.transactions", 0)
    stop = threading.Event()

    def tidy_up() -> None:
        while not stop.is_set():
            files.recover(shard, "another")

    with ThreadPoolExecutor(1) as threads:
        successor = threads.submit(tidy_up)
        try:
            for number in range(100):
                with contextlib.suppress(FencedError):
                    files.stage(shard, f"flush{number}", {f"landing/t/{name}/x.avro": b"" for name in "abcdef"})
                files.discard(shard, f"flush{number}")
        finally:
            stop.set()
        successor.result()
    files.recover(shard, "")
    assert not list(tmp_path.rglob("*.avro"))


def test_a_person_is_erased_from_what_landed_and_from_what_was_refused(tmp_path: Path) -> None:
    files, shard = LandedFiles(str(tmp_path), "group"), Shard("bank.transactions", 0)
    rows = [
        event(shard.topic, f"e{user}", at=9 * 10**18, user_id=user) | {REJECTED: "why", ARRIVED: 0} for user in (1, 2)
    ]
    content = {
        f"{LANDING}/bank.transactions/2026-03-15/07/x.avro": avro_file(
            shard.topic, [event(shard.topic, f"e{user}", at=0, user_id=user) for user in (1, 2)], is_quarantined=False
        ),
        f"{QUARANTINE}/bank.transactions/2026-03-15/07/x.avro": avro_file(shard.topic, rows, is_quarantined=True),
    }
    files.stage(shard, "flush", content)
    files.publish(shard, "flush")
    lines = list(_landed(Settings(lake=str(tmp_path)), 1))
    assert [(line.store, line.found, line.left) for line in lines] == [
        ("landed events", 1, 0),
        ("landed events refused", 1, 0),
    ]
    assert [landed_rows(str(tmp_path / place), 2) for place in (LANDING, QUARANTINE)] == [1, 1]


def test_keys_are_forgotten_when_there_are_too_many_and_read_again_when_asked_for(tmp_path: Path) -> None:
    files, shard = LandedFiles(str(tmp_path), "group"), Shard("bank.transactions", 0)
    seen = SeenKeys(files, most=3)
    for day in ("a", "b", "c"):
        rows = [event(shard.topic, f"{day}{number}", at=0) for number in range(2)]
        name = f"landing/{day}/{shard.prefix}x.avro"
        files.stage(shard, day, {name: avro_file(shard.topic, rows, is_quarantined=False)})
        files.publish(shard, day)
        seen.add(shard, f"landing/{day}", [row["event_id"] for row in rows])
    assert list(seen._sets) == [(shard, "landing/c")]
    assert seen.of(shard, "landing/a") == {"a0", "a1"}
