"""One night at a time on a lake in Object Storage, whichever machines they run on."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import boto3
import pytest

from dagster_project import lake_lease
from dagster_project.lake_lease import Leases
from dagster_project.lake_lock import lake_lock
from dagster_project.launching import launching
from data_contracts.errors import BusyError, InputError, UnavailableError
from tests.cloud.conftest import Starts
from tests.cloud.small_night import do_nothing_and_report

# A holder on another machine, which is killed or lives as long as its input is open.
_NIGHT = """
import socket, sys
socket.gethostname = lambda: sys.argv[2]
from dagster_project.lake_lease import lake_lease
with lake_lease(sys.argv[1], wait_seconds=0, seconds=float(sys.argv[3])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def night_elsewhere(lake: str, *, host: str = "pod-b", seconds: float = 60) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", _NIGHT, lake, host, str(seconds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def unexpected(why: str) -> None:
    raise AssertionError(why)


def held(lake: str, *, wait_seconds: float = 0, seconds: float = 60) -> AbstractContextManager[None]:
    return lake_lease.lake_lease(lake, wait_seconds=wait_seconds, seconds=seconds, on_lost=unexpected)


@pytest.fixture
def lake(bucket: str) -> str:
    return f"s3a://{bucket}/lake"


def test_of_two_nights_on_two_machines_the_second_is_refused_and_told_who_has_the_lake(lake: str) -> None:
    with night_elsewhere(lake) as other:
        told = rf"another night .* process {other.pid} on pod-b .* since 2"
        with pytest.raises(BusyError, match=told) as refused, lake_lock(lake):
            pass
        assert "after 180 s" in str(refused.value)
        assert other.stdin is not None
        other.stdin.close()
        assert other.wait() == 0
        with lake_lock(lake) as descriptor:
            assert descriptor > 0


def test_a_night_that_waits_has_the_lake_once_the_other_one_ends(lake: str) -> None:
    with night_elsewhere(lake) as other:
        assert other.stdin is not None
        threading.Timer(1, other.stdin.close).start()
        with held(lake, wait_seconds=120):
            assert other.wait() == 0


def test_the_lock_of_a_dead_holder_is_taken_over_once_it_has_run_out_and_not_before(lake: str) -> None:
    with night_elsewhere(lake, seconds=4) as other:
        other.kill()
        other.wait()
        with pytest.raises(BusyError), held(lake, seconds=3600):
            pass
        with held(lake, wait_seconds=120, seconds=4):
            newest = Leases(lake).newest()
            assert newest is not None and newest.holder.pid == os.getpid()


def test_what_a_killed_night_of_this_machine_left_is_taken_over_at_once(lake: str) -> None:
    with night_elsewhere(lake, host=socket.gethostname()) as other:
        other.kill()
        other.wait()
    with lake_lock(lake):
        pass


def test_a_night_that_was_away_too_long_learns_that_another_has_the_lake_and_leaves_it_to_that_one(lake: str) -> None:
    lost = threading.Event()
    with lake_lease.lake_lease(lake, wait_seconds=0, seconds=6, on_lost=lambda _: lost.set()):
        leases = Leases(lake)
        [mine] = leases.numbers()
        other = lake_lease.Holder("token", "pod-b", 7, "2026-03-16T02:00:00+00:00")
        assert leases.make(mine + 1, other)
        assert lost.wait(120)
    newest = leases.newest()
    assert newest is not None and newest.holder == other


def test_who_lost_the_lake_is_ended_as_by_ctrl_c() -> None:
    with pytest.raises(KeyboardInterrupt):
        lake_lease.stop_this_process("a test")
        time.sleep(60)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_of_many_who_try_at_once_one_has_the_lake(lake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = iter([f"pod-{number}" for number in range(8)])
    monkeypatch.setattr(socket, "gethostname", lambda: next(names))
    ready, had, refused = threading.Barrier(8), [], []
    done = threading.Event()

    def attempt() -> None:
        ready.wait()
        try:
            with held(lake):
                had.append(1)
                done.wait(120)
        except BusyError:
            refused.append(1)
        if len(refused) == 7:
            done.set()

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(had), len(refused)) == (1, 7)


def test_a_night_on_data_proc_holds_the_lake_too(start_cloud: Starts) -> None:
    _, settings = start_cloud(do_nothing_and_report)
    leases = Leases(settings.lake_uri)
    with launching(settings):
        held_now = leases.newest()
        assert held_now is not None and not held_now.holder.released
        with pytest.raises(BusyError, match="another night"), lake_lock(settings.lake_uri):
            pass
    afterwards = leases.newest()
    assert afterwards is not None and afterwards.holder.released


def test_numbers_grow_and_what_is_old_is_removed(lake: str) -> None:
    for _ in range(3):
        with held(lake):
            pass
    assert Leases(lake).numbers() == [3]


def test_an_object_storage_that_knows_no_conditions_is_refused(lake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Careless(Leases):
        def make(self, number: int, holder: lake_lease.Holder) -> bool:
            self.renew(number, holder)
            return True

    monkeypatch.setattr(lake_lease, "Leases", Careless)
    with pytest.raises(InputError, match="cannot keep two nights apart"), held(lake):
        pass


def test_without_object_storage_no_night_begins(monkeypatch: pytest.MonkeyPatch, storage: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(UnavailableError, match="the lake's lock"), held("s3a://no-bucket/lake"):
        pass


def test_moto_refuses_what_is_there_as_object_storage_does(bucket: str) -> None:
    client = boto3.client("s3")
    client.put_object(Bucket=bucket, Key="a", Body=b"1", IfNoneMatch="*")
    with pytest.raises(client.exceptions.ClientError, match="PreconditionFailed"):
        client.put_object(Bucket=bucket, Key="a", Body=b"2", IfNoneMatch="*")
