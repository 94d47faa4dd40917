"""The embedded broker as a process: one a folder, gone with whoever started it, and what was written stays."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from dagster_project.processes import is_alive
from data_contracts.errors import BusyError, UnavailableError
from infra.local.kafka.running import running_kafka


def test_a_folder_keeps_its_messages_and_has_one_broker(tmp_path: Path) -> None:
    with running_kafka(tmp_path) as address:
        admin = AdminClient({"bootstrap.servers": address})
        admin.create_topics([NewTopic("kept", 1)])["kept"].result()
        producer = Producer({"bootstrap.servers": address})
        producer.produce("kept", b"value")
        assert producer.flush(10) == 0
        with pytest.raises(BusyError, match="is in use by another Kafka broker"), running_kafka(tmp_path):
            pass
        port = int(address.rpartition(":")[2])
        with (
            pytest.raises(UnavailableError, match=f"port {port} of 127.0.0.1 is taken"),
            running_kafka(tmp_path / "other", port=port),
        ):
            pass
    with running_kafka(tmp_path) as address:
        consumer = Consumer({"bootstrap.servers": address, "group.id": "g", "auto.offset.reset": "earliest"})
        consumer.subscribe(["kept"])
        assert [message.value() for message in consumer.consume(1, 20)] == [b"value"]
        consumer.close()


def test_the_broker_ends_with_a_starter_that_was_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "infra.local.kafka", "--path", str(tmp_path), "--port", "0"]
    starter = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert starter.stdout is not None
    assert starter.stdout.readline().startswith(b"127.0.0.1:")
    (java,) = psutil.Process(starter.pid).children()
    os.kill(starter.pid, signal.SIGKILL)
    starter.wait()
    deadline = time.monotonic() + 10
    while is_alive(java):
        assert time.monotonic() < deadline, "the broker outlived its starter"
        time.sleep(0.05)
