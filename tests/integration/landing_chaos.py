"""Consumers killed at random moments while events stream in, and what lies in the lake when all is quiet again."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from spark_jobs.landing import replay
from tests.integration.landing_bank import DAY, REST, Bank, event, now

Consumer = subprocess.Popen[bytes]
# What of 10,000 events is sent twice, comes too late, or is no event at all.
REPEATED, TOO_LATE, POISON = 500, 50, 5
# Longer than `session` below: the group takes a consumer that is stopped so long for dead.
STOPPED_SECONDS = 3.0
SETTINGS = {"kafka_session_seconds": 1.5, "landing_flush_seconds": 0.4, "landing_batch_events": 2_000}


@dataclass
class Sent:
    """Every event by topic, once; those of quarantine; and the number of messages that are no events."""

    landing: dict[str, Counter[str]] = field(default_factory=lambda: {topic: Counter() for topic in REST})
    quarantine: dict[str, Counter[str]] = field(default_factory=lambda: {topic: Counter() for topic in REST})
    poison: int = 0


def stream(bank: Bank, *, events: int, seed: int, seconds: float) -> Sent:
    """Send events of all topics, evenly over some seconds, so that consumers die in the middle of them."""
    draw, sent, start = random.Random(seed), Sent(), time.monotonic()
    topics = list(REST)
    for number in range(events):
        topic, at = draw.choice(topics), now() - draw.randrange(3 * DAY)
        is_late = draw.randrange(10_000) < TOO_LATE
        one = event(topic, f"e{number}", at=at - 20 * DAY if is_late else at, user_id=draw.randrange(500))
        (sent.quarantine if is_late else sent.landing)[topic][one["event_id"]] = 1
        payload, key = bank.codec.encode(topic, one), str(one["user_id"])
        for _ in range(2 if draw.randrange(10_000) < REPEATED else 1):
            bank.producer.produce(topic, payload, key=key)
        if draw.randrange(10_000) < POISON:
            bank.producer.produce(topic, payload[:-1], key=key)
            sent.poison += 1
        bank.producer.poll(0)
        if number % 100 == 0:
            time.sleep(max(0.0, start + seconds * number / events - time.monotonic()))
    assert bank.producer.flush(60) == 0
    return sent


@contextmanager
def killing(bank: Bank, *, kills: int, seed: int, pause: tuple[float, float]) -> Iterator[list[int]]:
    """Two consumers; again and again one of them is killed and started anew, or held still until it is taken for dead.

    At the end of the block the kills are waited for, and the consumers told to end. Yields the kills done so far.
    """
    draw, consumers, done = random.Random(seed), [_start(bank), _start(bank)], [0]
    surprises: list[int] = []

    def kill() -> None:
        while done[0] < kills and not surprises:
            time.sleep(draw.uniform(*pause))
            number = draw.randrange(len(consumers))
            if draw.random() < 0.2:
                os.kill(consumers[number].pid, signal.SIGSTOP)
                time.sleep(STOPPED_SECONDS)
                os.kill(consumers[number].pid, signal.SIGCONT)
                continue
            surprises.extend(code for code in [consumers[number].poll()] if code is not None)
            consumers[number].kill()
            consumers[number].wait()
            consumers[number] = _start(bank)
            done[0] += 1

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield done
        killer.join()
        assert surprises == [], "a consumer ended by itself"
        for consumer in consumers:
            consumer.terminate()
        # One that is only just starting does not know yet how to end well.
        assert {consumer.wait(60) for consumer in consumers} <= {0, -signal.SIGTERM}
    finally:
        for consumer in consumers:
            consumer.kill()


def check(bank: Bank, sent: Sent) -> None:
    """Each event lies there exactly once, and each message that is no event is one dead letter."""
    for topic in REST:
        assert bank.landed(topic) == sent.landing[topic]
        assert Counter(row["event_id"] for row in bank.rows(f"quarantine/landing/{topic}")) == sent.quarantine[topic]
    assert len(replay.show(bank.settings)) == sent.poison
    assert not list((bank.lake / "landing/.staging").rglob("*.avro"))


def survive(address: str, folder: Path, *, events: int, kills: int, seed: int, pause: tuple[float, float]) -> int:
    """The whole experiment; returns the number of files that came of it."""
    bank = Bank.open(address, folder, **SETTINGS)
    with killing(bank, kills=kills, seed=seed, pause=pause) as done:
        sent = stream(bank, events=events, seed=seed, seconds=kills * sum(pause) / 2)
    assert done == [kills]
    bank.land()
    check(bank, sent)
    return len(bank.files())


def _start(bank: Bank) -> Consumer:
    command = [sys.executable, "-m", "infra.cli", "land", "--json"]
    return subprocess.Popen(command, env=bank.environment(), stdout=subprocess.DEVNULL)
