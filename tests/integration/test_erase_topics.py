"""A person out of Kafka: found by a consumer before, by none after; what is others' and did not land stays."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.kafka.running import running_kafka
from spark_jobs.landing import replay
from spark_jobs.landing.erase_topics import TopicErased, erase_from_topics
from spark_jobs.landing.reading import from_beginning, messages, partitions, reader
from tests.integration.landing_bank import Bank, event, now

PERSON, OTHER = 7_234_567_890_123_456_789, 8
TOPIC = "bank.transactions"
LETTERS = f"{TOPIC}.dlq"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_kafka(tmp_path_factory.mktemp("kafka")) as address:
        yield address


@pytest.fixture
def bank(address: str, tmp_path: Path) -> Bank:
    return Bank.open(address, tmp_path)


def payloads(bank: Bank, topic: str) -> list[bytes]:
    with reader(bank.settings, group="a-test") as client:
        start = [from_beginning(one) for one in partitions(client, [topic])]
        return [message.value() or b"" for message in messages(client, start)]


def users(bank: Bank, topic: str) -> Counter[int]:
    return Counter(bank.codec.decode(topic, payload)["user_id"] for payload in payloads(bank, topic))


def erase(bank: Bank) -> dict[str, TopicErased]:
    return {one.topic: one for one in erase_from_topics(bank.settings, PERSON) if one.found}


def test_what_has_landed_is_gone_from_the_topic_and_stays_in_the_lake(bank: Bank) -> None:
    for topic in (TOPIC, "recommendation.feedback"):
        bank.send(topic, event(topic, "a", at=now(), user_id=PERSON), event(topic, "b", at=now(), user_id=OTHER))
    bank.send("digital.telemetry", event("digital.telemetry", "c", at=now(), user_id=OTHER))
    bank.land()
    assert users(bank, TOPIC) == {PERSON: 1, OTHER: 1}
    erased = erase(bank)
    assert set(erased) == {TOPIC, "recommendation.feedback"}
    assert {(one.found, one.left) for one in erased.values()} == {(1, 0)}
    assert users(bank, TOPIC) == users(bank, "recommendation.feedback") == {}
    assert users(bank, "digital.telemetry") == {OTHER: 1}
    assert bank.landed(TOPIC) == {"a": 1, "b": 1}
    assert not bank.land().landed
    assert erase(bank) == {}


def test_what_has_not_landed_stays_and_is_told(bank: Bank) -> None:
    bank.send(TOPIC, event(TOPIC, "a", at=now(), user_id=PERSON))
    bank.land()
    bank.send(TOPIC, event(TOPIC, "b", at=now(), user_id=PERSON), event(TOPIC, "c", at=now(), user_id=OTHER))
    assert erase(bank) == {TOPIC: TopicErased(TOPIC, found=2, left=1)}
    assert users(bank, TOPIC) == {PERSON: 1, OTHER: 1}
    bank.land()
    assert bank.landed(TOPIC) == {"a": 1, "b": 1, "c": 1}
    assert erase(bank) == {TOPIC: TopicErased(TOPIC, found=1, left=0)}


def test_dead_letters_of_others_can_still_be_replayed(bank: Bank) -> None:
    bank.send_raw(TOPIC, b"replayed already")
    bank.land()
    assert len(replay.replay(bank.settings)) == 1
    bank.land()
    bank.send_raw(TOPIC, f"broken, of {PERSON}".encode(), b"broken, of somebody")
    bank.send_raw(TOPIC, b"broken too", key=str(PERSON))
    bank.land()
    assert len(payloads(bank, LETTERS)) == 5
    erased = erase(bank)
    assert {topic: (one.found, one.left) for topic, one in erased.items()} == {TOPIC: (2, 0), LETTERS: (2, 0)}
    assert sorted(payloads(bank, LETTERS)) == [b"broken, of somebody", b"replayed already"]
    waiting = [one.letter for one in replay.show(bank.settings) if not one.is_replayed]
    assert sorted(letter.payload or b"" for letter in waiting) == [b"broken, of somebody", b"replayed already"]
    assert {letter.topic for letter in waiting} == {TOPIC}
    assert len(replay.replay(bank.settings)) == 2
