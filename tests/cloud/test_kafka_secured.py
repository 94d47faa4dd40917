"""Kafka as in production: topics as defined, SCRAM over TLS, and groups of several instances that lose nothing."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from data_contracts.errors import InputError, UnavailableError
from data_contracts.overlay.kinds import FEEDBACK, PRODUCT_EVENTS
from data_contracts.topics import Difference, Effect, wanted_topics
from infra.backup.manifest import Backup
from infra.backup.restoring import rewind
from infra.local.clickhouse.running import running_clickhouse
from infra.topic_admin import apply_plan, plan_topics
from spark_jobs.landing.clients import ensure_topics
from sql.client import Address, connected
from sql.migrate import migrate
from tests.cloud.kafka_secured import Secured, secured_kafka, small_definitions
from tests.integration.landing_bank import REST, Bank, event, now

Instance = subprocess.Popen[bytes]
ENOUGH_SECONDS = 180.0


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Its topics are made by the first test, as an operator makes them before anything else."""
    with secured_kafka(tmp_path_factory.mktemp("kafka")) as running:
        yield running


def test_topics_are_made_as_defined_once_and_by_nobody_else(kafka: Secured, tmp_path: Path) -> None:
    settings, file = kafka.settings(), small_definitions(tmp_path)
    with pytest.raises(UnavailableError, match="run recs topics --apply"):
        ensure_topics(settings)
    assert {one.effect for one in plan_topics(settings, file)} == {Effect.MAKE}
    command = [sys.executable, "-m", "infra.cli", "topics", "--file", str(file), "--json", "--apply"]
    told = subprocess.run(command, env={**os.environ, **kafka.environment()}, check=True, stdout=subprocess.PIPE)
    assert {one["effect"] for one in json.loads(told.stdout)} == {"make"}
    assert plan_topics(settings, file) == ()
    apply_plan(settings, (), wanted_topics(file))
    ensure_topics(settings)


def test_a_loss_is_refused_with_all_the_rest_until_it_is_allowed(kafka: Secured, tmp_path: Path) -> None:
    settings = kafka.settings()
    apply_plan(settings, plan_topics(settings, small_definitions(tmp_path)), wanted_topics(small_definitions(tmp_path)))
    shorter = small_definitions(
        tmp_path,
        (
            "digital.telemetry: { partitions: 6, retention_days: 14",
            "digital.telemetry: { partitions: 6, retention_days: 7",
        ),
        ("partitions: 3,", "partitions: 4,"),
    )
    plan = plan_topics(settings, shorter)
    with pytest.raises(
        InputError, match=r"nothing was applied\. digital\.telemetry retention\.ms 1209600000 -> 604800000"
    ):
        apply_plan(settings, plan, wanted_topics(shorter))
    assert plan_topics(settings, shorter) == plan
    apply_plan(settings, plan, wanted_topics(shorter), may_lose=frozenset({"digital.telemetry"}))
    assert plan_topics(settings, shorter) == ()
    fewer = plan_topics(settings, small_definitions(tmp_path, ("partitions: 6", "partitions: 5")))
    with pytest.raises(InputError, match="partitions cannot be taken away"):
        apply_plan(settings, fewer, wanted_topics(shorter), may_lose=frozenset({"digital.telemetry"}))


def test_a_broker_s_refusal_says_what_to_do(kafka: Secured, tmp_path: Path) -> None:
    settings, file = kafka.settings(), small_definitions(tmp_path, ("replication: 1", "replication: 3"))
    admin = AdminClient({"bootstrap.servers": kafka.plain})
    admin.delete_topics([FEEDBACK])[FEEDBACK].result(30)

    def lacking(file: Path) -> list[Difference]:
        return [one for one in plan_topics(settings, file) if one.effect is Effect.MAKE]

    until(lambda: len(lacking(file)) == 1)
    with pytest.raises(InputError, match="there are fewer brokers than that"):
        apply_plan(settings, lacking(file), wanted_topics(file))
    whole = small_definitions(tmp_path)
    apply_plan(settings, lacking(whole), wanted_topics(whole))


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"kafka_password": "wrong"}, "refuses RECS_KAFKA_USER or its password"),
        ({"kafka_mechanism": "PLAIN"}, "refuses RECS_KAFKA_USER or its password"),
        ({"kafka_ca_file": None}, "we do not trust each other"),
    ],
)
def test_who_is_not_known_or_not_trusted_is_told_so(
    kafka: Secured, wrong: dict[str, Any], why: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.topic_admin._SECONDS", 3.0)
    with pytest.raises(UnavailableError, match="RECS_KAFKA_BOOTSTRAP"):
        plan_topics(kafka.settings(**wrong))
    assert why in caplog.text


@contextmanager
def three_of(command: list[str], environment: dict[str, str]) -> Iterator[list[Instance]]:
    instances = [subprocess.Popen([sys.executable, "-m", "infra.cli", *command], env=environment) for _ in range(3)]
    try:
        yield instances
        for instance in instances[1:]:
            instance.terminate()
        assert {instance.wait(60) for instance in instances[1:]} == {0}
    finally:
        for instance in instances:
            instance.kill()


def members(kafka: Secured, group: str) -> int:
    """That have partitions."""
    admin = AdminClient({"bootstrap.servers": kafka.plain})
    try:
        described = admin.describe_consumer_groups([group])[group].result(30)
    except KafkaException:  # no group yet, and nobody who coordinates it
        return 0
    return sum(bool(member.assignment.topic_partitions) for member in described.members)


def send(bank: Bank, topic: str, number: int, *, user_id: int) -> None:
    one = event(topic, f"e{number}", at=now(), user_id=user_id)
    bank.producer.produce(topic, bank.codec.encode(topic, one), key=str(user_id))
    bank.producer.poll(0)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + ENOUGH_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.1)


def test_three_that_land_share_the_work_and_one_that_is_killed_loses_nothing(kafka: Secured, tmp_path: Path) -> None:
    bank = Bank.open(kafka.plain, tmp_path, kafka_session_seconds=1.5, landing_flush_seconds=0.4)
    draw, group = random.Random(3), bank.settings.kafka_group
    with three_of(["land", "--json"], {**bank.environment(), **kafka.environment()}) as landing:
        until(lambda: members(kafka, group) == 3)
        for number in range(3_000):
            topic = draw.choice(list(REST))
            send(bank, topic, number, user_id=draw.randrange(500))
            if number == 1_500:
                landing[0].kill()
        assert bank.producer.flush(60) == 0
        until(lambda: sum(sum(bank.landed(topic).values()) for topic in REST) == 3_000)
        until(lambda: members(kafka, group) == 2)
    assert all(count == 1 for topic in REST for count in bank.landed(topic).values())


def test_three_that_store_for_answers_share_the_work_and_one_that_is_killed_loses_nothing(
    kafka: Secured, tmp_path: Path
) -> None:
    bank, draw, group = Bank.open(kafka.plain, tmp_path), random.Random(4), f"overlay-{tmp_path.name}"
    with running_clickhouse(tmp_path / "clickhouse") as url:
        migrate(Address(url=url))
        more = {"RECS_CLICKHOUSE_URL": url, "RECS_KAFKA_SESSION_SECONDS": "1.5", "RECS_OVERLAY_GROUP": group}
        with three_of(["overlay", "--quiet"], {**os.environ, **more, **kafka.environment()}) as storing:
            until(lambda: members(kafka, group) == 3)
            for number in range(2_000):
                topic = draw.choice([PRODUCT_EVENTS, FEEDBACK])
                send(bank, topic, number, user_id=draw.randrange(500))
                if number == 1_000:
                    storing[0].kill()
            assert bank.producer.flush(60) == 0
            with connected(Address(url)) as store:
                until(lambda: store.rows("user_events_v1/count")[0][0] == 2_000)
            until(lambda: members(kafka, group) == 2)


def test_after_a_restore_both_groups_read_again_what_came_since_and_it_lands_once(
    kafka: Secured, tmp_path: Path
) -> None:
    bank = Bank.open(kafka.plain, tmp_path, overlay_group=f"overlay-{tmp_path.name}")
    at = datetime.now(UTC)
    backup = Backup(backup_id="b", started_at=at, finished_at=at, lake="", steps=(), served=(), files=(), tables=())
    for number in range(20):
        send(bank, FEEDBACK, number, user_id=number)
    assert bank.producer.flush(60) == 0
    assert bank.land().landed == {FEEDBACK: 20}
    shutil.rmtree(bank.lake / "landing")  # restored from before they came
    again = rewind(bank.settings, backup)
    assert min(again.values()) >= 20
    assert bank.land().landed == {FEEDBACK: 20}
    assert set(rewind(bank.settings, backup)) == {bank.settings.kafka_group, bank.settings.overlay_group}
    assert bank.land().repeated == 20
