"""`recs land` against a real broker: each event once, in its day, whatever happens on the way."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import fastavro
import pytest
from confluent_kafka import TopicPartition

from data_contracts.errors import InputError, UnavailableError
from data_contracts.events import TOPICS
from data_contracts.night import NightParams, Sources
from data_contracts.settings import Settings
from infra.local.kafka.running import running_kafka
from infra.local.world.avro import TOPICS as WORLD_TOPICS
from infra.local.world.produce import produce_events
from spark_jobs.ingest.contents import check_deliveries
from spark_jobs.ingest.deliveries import find_deliveries
from spark_jobs.landing import lander, replay
from spark_jobs.landing.clients import consumer
from spark_jobs.landing.files import LandedFiles, Shard
from tests.integration.landing_bank import DAY, SECOND, Bank, event, now
from tests.unit.world_samples import USERS, make

TOPIC = "bank.transactions"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_kafka(tmp_path_factory.mktemp("kafka")) as address:
        yield address


@pytest.fixture
def bank(address: str, tmp_path: Path) -> Bank:
    return Bank.open(address, tmp_path)


def rewind(bank: Bank, topic: str = TOPIC, *, group: str = "") -> None:
    """As an operator does who wants everything read again."""
    client = consumer(bank.settings, group=group or bank.settings.kafka_group)
    numbers = client.list_topics(topic, timeout=10).topics[topic].partitions
    client.commit(offsets=[TopicPartition(topic, number, 0) for number in numbers], asynchronous=False)
    client.close()


def test_events_of_all_topics_land_in_the_folder_of_their_local_hour(bank: Bank) -> None:
    at = now() - 3600 * SECOND
    for topic in TOPICS:
        bank.send(topic, event(topic, "one", at=at), event(topic, "two", at=at - DAY))
    done = bank.land()
    assert done.landed == dict.fromkeys(TOPICS, 2)
    for topic in TOPICS:
        places = {}
        for path in (bank.lake / "landing" / topic).rglob("*.avro"):
            for row in bank.rows(str(path.parent.relative_to(bank.lake))):
                places[row["event_id"]] = path.parent.relative_to(bank.lake / "landing" / topic).as_posix()
        zone = ZoneInfo(bank.settings.timezone)
        wanted = {name: datetime.fromtimestamp(when / SECOND, zone) for name, when in (("one", at), ("two", at - DAY))}
        assert places == {name: f"{when:%Y-%m-%d/%H}" for name, when in wanted.items()}
    (exposure,) = [row for row in bank.rows("landing/recommendation.exposures") if row["event_id"] == "one"]
    assert exposure["items"][0]["propensity"] == 1.0
    assert exposure["event_time"] == at


def test_duplicates_in_a_batch_between_batches_and_between_runs_land_once(bank: Bank) -> None:
    events = [event(TOPIC, f"e{number}", at=now(), user_id=number) for number in range(50)]
    bank.send(TOPIC, *events, *events[:10])
    assert bank.land(landing_batch_events=7).repeated == 10
    bank.send(TOPIC, *events[20:30], event(TOPIC, "new", at=now()))
    again = bank.land()
    assert (again.landed, again.repeated) == ({TOPIC: 1}, 10)
    assert bank.landed(TOPIC) == Counter([*(f"e{number}" for number in range(50)), "new"])


def test_a_replay_of_the_whole_topic_leaves_the_same_files(bank: Bank) -> None:
    late = event(TOPIC, "late", at=now() - 30 * DAY)
    bank.send(TOPIC, *[event(TOPIC, f"e{number}", at=now(), user_id=number) for number in range(20)], late)
    bank.land()
    before = bank.files()
    rewind(bank)
    assert bank.land(landing_batch_events=3).repeated == 21
    assert bank.files() == before


def test_nothing_new_writes_nothing(bank: Bank) -> None:
    bank.send(TOPIC, event(TOPIC, "only", at=now()))
    bank.land()
    assert bank.land().files == 0
    assert len(bank.files()) == 1


def test_late_events_go_to_their_day_and_too_late_or_future_ones_to_quarantine(bank: Bank) -> None:
    at = now()
    moments = {"a week": at - 7 * DAY, "too late": at - 9 * DAY, "soon": at + 60 * SECOND, "future": at + 600 * SECOND}
    moments |= {"before Christ": -(10**17), "year 300000": 9 * 10**18}
    bank.send(TOPIC, *[event(TOPIC, name, at=when) for name, when in moments.items()])
    done = bank.land()
    assert set(bank.landed(TOPIC)) == {"a week", "soon"}
    late, ahead = "it came more than 7 days late", "event_time is more than 300 s ahead of its arrival"
    assert done.quarantined == {late: 2, ahead: 2}
    kept = {row["event_id"]: row["rejected"] for row in bank.rows(f"quarantine/landing/{TOPIC}")}
    assert kept == {"too late": late, "before Christ": late, "future": ahead, "year 300000": ahead}


def test_a_producer_whose_clock_runs_ahead_does_not_vouch_for_its_events(bank: Bank) -> None:
    ahead = now() + 1800 * SECOND
    bank.send(TOPIC, event(TOPIC, "skewed", at=ahead), timestamp=ahead // 1000)
    assert list(bank.land().quarantined.values()) == [1]


def test_an_event_that_waited_in_kafka_is_not_late_for_it(bank: Bank) -> None:
    then = now() - 20 * DAY
    bank.send(TOPIC, event(TOPIC, "waited", at=then), timestamp=then // 1000)
    assert bank.land().landed == {TOPIC: 1}


def poison(bank: Bank) -> list[bytes | None]:
    good = bank.codec.encode(TOPIC, event(TOPIC, "good", at=now()))
    foreign = bank.codec.encode("digital.telemetry", event("digital.telemetry", "other", at=now()))
    empty = bank.codec.encode(TOPIC, event(TOPIC, "", at=now()))
    unknown = b"\0\0\0\0\1" + good[5:]
    return [None, b"", b"\0", b"{}", good[:-3], good + b"x", foreign, unknown, empty, b"\0" * 990_000]


def test_poison_goes_to_dead_letters_and_never_stops_a_consumer(bank: Bank) -> None:
    messages = poison(bank)
    for message in messages:
        bank.send_raw(TOPIC, message, key=b"user 42", headers={"trace": b"t1"}, partition=0)
        bank.send(TOPIC, event(TOPIC, f"after {messages.index(message)}", at=now()), partition=0)
    done = bank.land()
    assert done.landed == {TOPIC: len(messages)}
    assert sum(done.dead.values()) == len(messages)
    letters = [one.letter for one in replay.show(bank.settings, [TOPIC])]
    start = min(int(letter.origin.rpartition("/")[2]) for letter in letters)
    assert [letter.origin for letter in letters] == [f"{TOPIC}/0/{start + 2 * n}" for n in range(len(messages))]
    assert [letter.payload or None for letter in letters] == [message or None for message in messages]
    assert {letter.key for letter in letters} == {b"user 42"}
    assert {letter.headers for letter in letters} == {(("trace", b"t1"),)}
    assert [letter.reason for letter in letters][4:9] == [
        "the message breaks off or is garbled (EOFError)",
        "bytes are left over after the event",
        letters[6].reason,
        "its schema 1 is not in the registry",
        "event_id is empty",
    ]
    assert letters[6].reason.endswith("is bank.events.Telemetry, not bank.events.Transaction")


def test_forged_headers_neither_stop_a_consumer_nor_misplace_a_dead_letter(bank: Bank) -> None:
    forged = {"dlq.origin": b"bank.product_events/0/1", "dlq.attempts": b"many", "dlq.left-out": b"1"}
    bank.send_raw(TOPIC, b"poison", headers=forged, partition=2)
    bank.land()
    bank.send_raw(f"{TOPIC}.dlq", b"written by hand", headers=forged)
    bank.land()
    written, by_hand = sorted((one.letter for one in replay.show(bank.settings)), key=lambda one: one.payload or b"")
    assert (written.topic, written.shard, written.attempts, written.is_left_out) == (TOPIC, 2, 1, False)
    assert (by_hand.topic, by_hand.attempts) == (TOPIC, 1)


def test_dead_letters_are_replayed_once_each_and_land_when_the_cause_is_mended(bank: Bank) -> None:
    good = bank.codec.encode(TOPIC, event(TOPIC, "mended", at=now()))
    bank.send_raw(TOPIC, b"hopeless", good[:-1])
    bank.land()
    assert len(replay.replay(bank.settings, [TOPIC], limit=1)) == 1
    assert len(replay.replay(bank.settings, [TOPIC])) == 1
    assert replay.replay(bank.settings, [TOPIC]) == []
    assert sum(bank.land().dead.values()) == 2
    shown = replay.show(bank.settings)
    assert [(one.letter.attempts, one.is_replayed) for one in shown] == [(2, False), (2, False)]
    bank.send_raw(f"{TOPIC}.dlq", good, headers={"dlq.origin": f"{TOPIC}/0/999", "dlq.reason": "no registry"})
    for _ in range(2):  # as if killed between sending and committing
        rewind(bank, f"{TOPIC}.dlq", group=bank.settings.kafka_group + replay.GROUP_SUFFIX)
        replay.replay(bank.settings)
        bank.land()
    assert bank.landed(TOPIC) == {"mended": 1}


def test_a_flush_that_kafka_accepted_is_finished_by_the_next_owner_and_any_other_is_dropped(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank.send(TOPIC, event(TOPIC, "committed", at=now()), partition=0)
    with monkeypatch.context() as killed:
        killed.setattr(LandedFiles, "publish", die)
        with pytest.raises(DiedError):
            bank.land()
    never_committed = {f"landing/{TOPIC}/2026-01-01/00/00000-x-y.avro": b"torn"}
    LandedFiles(bank.settings.lake_uri, bank.settings.kafka_group).stage(Shard(TOPIC, 0), "other", never_committed)
    assert bank.landed(TOPIC) == {}
    bank.land()
    assert bank.landed(TOPIC) == {"committed": 1}
    assert not list((bank.lake / "landing/.staging").rglob("*.avro"))


class DiedError(Exception):
    """Stands for a process that ends right here."""


def die(*_: object) -> None:
    raise DiedError


def test_who_lost_its_partitions_before_committing_lands_nothing_twice(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A consumer that stalls for so long that Kafka gives its partitions to another, which lands them."""
    bank.send(TOPIC, *[event(TOPIC, f"e{number}", at=now(), user_id=number) for number in range(20)])
    stage, stalls = LandedFiles.stage, [3.0]

    def stage_slowly(*given: Any) -> None:
        stage(*given)
        if stalls:
            time.sleep(stalls.pop())
            assert bank.land(kafka_session_seconds=1).landed == {TOPIC: 20}

    monkeypatch.setattr(LandedFiles, "stage", stage_slowly)
    patience = {"max.poll.interval.ms": 1_500}
    monkeypatch.setattr(lander, "consumer", lambda *given, **more: consumer(*given, **more, **patience))
    assert bank.land(kafka_session_seconds=1).landed == {}
    assert stalls == []
    assert bank.landed(TOPIC) == Counter(f"e{number}" for number in range(20))


def test_a_broken_landed_file_is_named(bank: Bank) -> None:
    bank.send(TOPIC, event(TOPIC, "one", at=now()), partition=0)
    bank.land()
    (path,) = (bank.lake / "landing").rglob("*.avro")
    path.write_bytes(path.read_bytes()[:-20])
    bank.send(TOPIC, event(TOPIC, "two", at=now()), partition=0)
    with pytest.raises(InputError, match=r"\.avro: a landed file that cannot be read"):
        bank.land()


def test_a_sample_world_s_events_come_through_kafka_as_the_world_has_them(bank: Bank, tmp_path: Path) -> None:
    make(tmp_path / "world", users=USERS, days=3)
    sent = produce_events(bank.settings, tmp_path / "world/events", day=None)
    done = bank.land()
    assert sum(done.landed.values()) + done.repeated == sum(sent.values()) > 100
    assert done.repeated > 0 and not done.quarantined and not done.dead
    for topic in sent:
        assert places(bank.lake / "landing" / topic) == places(tmp_path / "world/events" / topic)


def test_ingest_accepts_what_landed(bank: Bank) -> None:
    """The four topics that a night reads, with every word of a campaign."""
    at = now()
    for topic in TOPICS:
        bank.send(topic, *[event(topic, name, at=at) for name in ("one", "two")])
    bank.land()
    as_of = datetime.fromtimestamp(at / SECOND, ZoneInfo(bank.settings.timezone)).date() + timedelta(days=1)
    params = NightParams(as_of=as_of, lake=str(bank.lake), sources=Sources(events=str(bank.lake / "landing")))
    checked = check_deliveries(find_deliveries(params))
    assert {one.delivery.source.folder: one.rows for one in checked} == dict.fromkeys(WORLD_TOPICS, 2)


def places(folder: Path) -> set[tuple[str, str]]:
    """Event ids with the day and hour of their folder."""
    found = set()
    for path in folder.rglob("*.avro"):
        with path.open("rb") as file:
            found |= {(row["event_id"], f"{path.parts[-3]}/{path.parts[-2]}") for row in fastavro.reader(file)}
    return found


def test_the_commands_land_show_and_replay(bank: Bank) -> None:
    bank.send(TOPIC, event(TOPIC, "one", at=now(), user_id=424242))
    bank.send_raw(TOPIC, b"garbage", key=b"424242")
    landed = recs(bank, "land", "--once", "--json")
    assert landed["landed"] == {TOPIC: 1} and list(landed["dead"].values()) == [1]
    (letter,) = recs(bank, "dlq", "show", "--json")
    assert (letter["topic"], letter["bytes"], letter["state"]) == (TOPIC, 7, "waiting")
    assert recs(bank, "dlq", "replay", "--topic", TOPIC, "--limit", "5", "--json") == [
        {"topic": TOPIC, "origin": letter["origin"], "attempts": 1}
    ]


def recs(bank: Bank, *words: str) -> Any:
    """What a command prints. Whatever it says must not hold the user's id."""
    command = [sys.executable, "-m", "infra.cli", *words]
    done = subprocess.run(command, env=bank.environment(), capture_output=True, text=True, check=True, timeout=60)
    assert "424242" not in done.stdout + done.stderr
    return json.loads(done.stdout)


def test_a_broker_that_is_away_is_one_clear_error(tmp_path: Path) -> None:
    away = Settings(kafka_bootstrap="127.0.0.1:9", lake=str(tmp_path))
    with pytest.raises(UnavailableError, match=r"Kafka at 127\.0\.0\.1:9 "):
        replay.show(away)
