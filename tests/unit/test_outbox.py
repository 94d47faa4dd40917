"""The outbox on disk: bounded, each event once, and nothing leaves before it is delivered."""

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from api.outbox import Entry, Key, Outbox, Put
from api.sender import Sender
from data_contracts.errors import InputError, UnavailableError


def entries(*names: str) -> list[Entry]:
    return [Entry(name, name.encode()) for name in names]


def box(path: Path, *, most: int = 100) -> Outbox:
    return Outbox(path / "outbox.sqlite3", most=most, is_durable=True)


def ids(outbox: Outbox) -> list[str]:
    return [one.entry.event_id for one in outbox.first(100)]


class FakeSink:
    """Refuses for good what is named so, and everything while it is away."""

    def __init__(self) -> None:
        self.is_away = False
        self.got: list[bytes] = []

    def deliver(self, entries: Sequence[Entry]) -> None:
        if self.is_away:
            raise UnavailableError("away")
        events = [entry.event for entry in entries]
        if b"bad" in events:
            raise InputError("does not fit")
        self.got += events

    def close(self) -> None:
        pass


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_event_is_there_once_also_after_a_restart_and_for_another_process(tmp_path: Path) -> None:
    first = box(tmp_path)
    assert first.put(entries("a", "b", "a")) == [Put.KEPT] * 3
    second = box(tmp_path)
    assert second.put(entries("b", "c")) == [Put.KEPT] * 2
    first.close()
    assert ids(box(tmp_path)) == ["a", "b", "c"]


def test_a_full_outbox_takes_nothing_new_until_there_is_room(tmp_path: Path) -> None:
    outbox = box(tmp_path, most=2)
    assert outbox.put(entries("a", "b", "c")) == [Put.KEPT, Put.KEPT, Put.NO_ROOM]
    assert outbox.put(entries("a")) == [Put.KEPT]  # it is there already
    outbox.remove(outbox.first(1))
    assert outbox.put(entries("c")) == [Put.KEPT]
    assert ids(outbox) == ["b", "c"]


def test_of_many_writers_at_once_no_event_is_lost_and_the_bound_holds(tmp_path: Path) -> None:
    outbox = box(tmp_path, most=50)
    puts: list[Put] = []

    def write(writer: int) -> None:
        puts.extend(outbox.put(entries(*(f"{writer}-{number}" for number in range(20)))))

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert puts.count(Put.KEPT) == len(ids(outbox)) == outbox.depth == 50


def test_a_key_is_good_for_one_event_for_a_while_and_the_newest_keys_are_known(tmp_path: Path) -> None:
    def keyed(key: str, event_id: str) -> Entry:
        return Entry(event_id, b"", Key(key, user_id=1))

    def put(outbox: Outbox, *entries: Entry) -> list[Put]:
        puts = outbox.put(entries)
        outbox.remove(outbox.first(100))  # delivered
        return puts

    outbox = box(tmp_path, most=2)
    assert put(outbox, keyed("k", "a"), keyed("k", "b"), keyed("k", "a")) == [Put.KEPT, Put.OTHER_KEY, Put.KEPT]
    assert put(box(tmp_path), keyed("k", "b")) == [Put.OTHER_KEY]  # by another process
    put(outbox, keyed("l", "l"), keyed("m", "m"))
    put(outbox)
    assert put(outbox, keyed("l", "a"), keyed("k", "b")) == [Put.OTHER_KEY, Put.KEPT]  # of more than two, the oldest
    forgetful = Outbox(outbox.path, most=2, is_durable=True, keys_known=timedelta(0))
    assert put(forgetful, keyed("k", "c")) == [Put.KEPT]


def test_a_file_of_an_older_version_is_read_on(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "outbox.sqlite3") as old:
        old.execute("CREATE TABLE waiting (seq INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT UNIQUE, event BLOB)")
        old.execute("INSERT INTO waiting (event_id, event) VALUES ('a', 'a')")
    outbox = box(tmp_path)
    outbox.put([Entry("b", b"b", trace="t")])
    assert [(one.entry.event_id, one.entry.trace) for one in outbox.first(2)] == [("a", ""), ("b", "t")]


def test_a_closed_outbox_is_unavailable(tmp_path: Path) -> None:
    outbox = box(tmp_path)
    outbox.close()
    with pytest.raises(UnavailableError):
        outbox.put(entries("a"))


def test_what_the_sink_could_not_take_waits_and_what_it_never_will_is_set_aside(tmp_path: Path) -> None:
    outbox, sink = box(tmp_path), FakeSink()
    sink.is_away = True
    outbox.put(entries("a", "bad", "b"))
    sender = Sender(outbox, sink, name="things")
    sender.start()
    until(lambda: sender.outage == "away")
    assert outbox.depth == 3
    sink.is_away = False
    until(lambda: outbox.depth == 0)
    sender.stop(seconds=5)
    assert sink.got == [b"a", b"b"]
    assert sender.outage == ""


def test_of_two_processes_one_sends_and_the_other_takes_over(tmp_path: Path) -> None:
    sinks = FakeSink(), FakeSink()
    boxes = box(tmp_path), box(tmp_path)
    first, second = (Sender(outbox, sink, name="things") for outbox, sink in zip(boxes, sinks, strict=True))
    boxes[1].put(entries("a"))
    first.start()
    until(lambda: sinks[0].got == [b"a"])
    second.start()
    boxes[1].put(entries("b"))
    until(lambda: sinks[0].got == [b"a", b"b"])
    first.stop(seconds=5)
    boxes[1].put(entries("c"))
    until(lambda: sinks[1].got == [b"c"])
    second.stop(seconds=5)
