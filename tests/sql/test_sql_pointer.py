"""Which snapshot is served, and how that changes."""

import asyncio
import itertools
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.errors import GateError, InputError
from data_contracts.manifest import GateVerdict, Manifest, TableCounts
from sql.client import Address, Store, connected, connected_async
from sql.load import TABLES, load
from sql.pointer import Move, MoveKind, current, moves, publish, read_pointers, read_pointers_async, rollback, served
from sql.retention import drop_old, old_snapshots
from sql.states import SnapshotState, State, put_state, snapshot_states, state_of
from sql.verify import loaded_counts, verify
from tests.sql.snapshots import write_snapshot

A, B, C, D = (f"2026-03-1{day}.1" for day in (1, 2, 3, 4))


@pytest.fixture
def verified(store: Store) -> Store:
    """A store with four verified snapshots; the pointer does not look into their tables."""
    for snapshot_id in (A, B, C, D):
        put_state(store, _manifest(snapshot_id), State.VERIFIED)
    return store


def test_nothing_is_served_before_the_first_publish(store: Store) -> None:
    assert current(store) is None
    assert read_pointers(store).rules_seq == 0
    with pytest.raises(InputError, match="no earlier snapshot"):
        rollback(store, actor="test")


def test_a_publish_is_seen_by_everybody_with_who_and_why(verified: Store) -> None:
    publish(verified, A, actor="dagster", why="the night of the 11th")
    assert current(verified) == A
    (move,) = moves(verified)
    assert (move.seq, move.snapshot_id, move.action) == (1, A, MoveKind.PUBLISH)
    assert (move.actor, move.why) == ("dagster", "the night of the 11th")
    assert move.moved_at.tzinfo is not None


async def _async_pointer(address: Address) -> str | None:
    async with connected_async(address) as store:
        return (await read_pointers_async(store)).snapshot_id


def test_the_api_s_connection_sees_the_same(verified: Store, address: Address) -> None:
    publish(verified, B, actor="test")
    assert asyncio.run(_async_pointer(address)) == B


@pytest.mark.parametrize("state", [State.LOADING, State.LOADED])
def test_a_snapshot_that_is_not_verified_is_refused(verified: Store, state: State) -> None:
    publish(verified, A, actor="test")
    put_state(verified, _manifest("2026-03-20.1"), state)
    with pytest.raises(GateError, match=f"is {state}, not verified"):
        publish(verified, "2026-03-20.1", actor="test")
    with pytest.raises(GateError):
        rollback(verified, to="2026-03-20.1", actor="test")
    assert current(verified) == A


def test_a_snapshot_that_is_not_here_is_refused(verified: Store) -> None:
    put_state(verified, _manifest("2026-03-01.1"), State.DROPPED)
    for snapshot_id in ("2026-03-01.1", "2026-03-02.1", "yesterday", "'; DROP TABLE snapshots; --"):
        with pytest.raises(InputError):
            publish(verified, snapshot_id, actor="test")
    assert current(verified) is None


def test_a_rollback_walks_back_and_never_returns_to_what_was_withdrawn(verified: Store) -> None:
    for snapshot_id in (A, B, C):
        publish(verified, snapshot_id, actor="test")
    assert rollback(verified, actor="test") == B
    publish(verified, D, actor="test")
    assert rollback(verified, actor="test") == B
    assert rollback(verified, actor="test") == A
    with pytest.raises(InputError, match="no earlier snapshot"):
        rollback(verified, actor="test")
    assert current(verified) == A


def test_a_rollback_goes_where_it_is_told(verified: Store) -> None:
    for snapshot_id in (A, B, C):
        publish(verified, snapshot_id, actor="test")
    assert rollback(verified, to=A, actor="test", why="B was wrong too") == A
    assert current(verified) == A
    assert moves(verified)[-1].action is MoveKind.ROLLBACK


def test_two_publishers_at_once_leave_one_pointer_that_all_agree_on(verified: Store, address: Address) -> None:
    start = threading.Barrier(4)

    def publisher(snapshot_id: str) -> None:
        with connected(address) as store:
            start.wait()
            for _ in range(5):
                publish(store, snapshot_id, actor=snapshot_id)

    threads = [threading.Thread(target=publisher, args=(snapshot_id,)) for snapshot_id in (A, B, C, D)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    history = moves(verified)
    assert len(history) == 20
    assert {current(verified) for _ in range(10)} == {history[-1].snapshot_id} == {served(history)[-1]}


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(MoveKind), st.sampled_from([A, B, C, D])), min_size=1))
def test_what_is_served_is_the_last_move_and_holds_nothing_twice(steps: list[tuple[MoveKind, str]]) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    history = [Move(seq, at, snapshot_id, action, "", "") for seq, (action, snapshot_id) in enumerate(steps)]
    stack = served(history)
    assert stack[-1] == steps[-1][1]
    assert len(set(stack)) == len(stack)


def test_old_snapshots_are_dropped_but_never_the_current_one(store: Store, tmp_path: Path) -> None:
    for number, snapshot_id in enumerate(("2026-03-09.1", "2026-03-10.2", "2026-03-10.10", "2026-03-11.1")):
        write_snapshot(tmp_path / snapshot_id, snapshot_id=snapshot_id, users=20, seed=number)
        verify(store, load(store, snapshot_uri=str(tmp_path / snapshot_id)))
    publish(store, "2026-03-10.2", actor="test")
    assert drop_old(store, keep=2) == ("2026-03-09.1",)
    assert drop_old(store, keep=2) == ()
    states = {entry.snapshot_id: entry.state for entry in snapshot_states(store)}
    assert states == {
        "2026-03-09.1": State.DROPPED,
        "2026-03-10.2": State.VERIFIED,
        "2026-03-10.10": State.VERIFIED,
        "2026-03-11.1": State.VERIFIED,
    }
    for table in TABLES:
        assert loaded_counts(store, table=table, snapshot_id="2026-03-09.1").rows == 0
        assert loaded_counts(store, table=table, snapshot_id="2026-03-10.2").rows > 0
    with pytest.raises(InputError, match="is not in ClickHouse"):
        rollback(store, to="2026-03-09.1", actor="test")
    with pytest.raises(InputError, match="keep=0"):
        drop_old(store, keep=0)


def test_attempts_that_failed_do_not_push_out_good_snapshots() -> None:
    def states(*entries: tuple[str, State]) -> list[SnapshotState]:
        at = datetime(2026, 1, 1, tzinfo=UTC)
        return [SnapshotState(name, state, _manifest(name), at) for name, state in entries]

    history = states(
        (A, State.VERIFIED), (B, State.LOADING), (C, State.VERIFIED), ("2026-03-13.2", State.LOADED), (D, State.LOADING)
    )

    def dropped(keep: int, served: str | None) -> list[str]:
        return [entry.snapshot_id for entry in old_snapshots(history, keep=keep, served=served)]

    assert dropped(2, C) == [B]
    assert dropped(1, C) == [A, B]
    assert dropped(1, A) == [B]
    assert old_snapshots(history[-1:], keep=1, served=None) == ()


def test_a_dropped_snapshot_may_come_back(store: Store, tmp_path: Path) -> None:
    for day, seed in itertools.pairwise((11, 12, 13)):
        write_snapshot(tmp_path / str(day), snapshot_id=f"2026-03-{day}.1", users=20, seed=seed)
        verify(store, load(store, snapshot_uri=str(tmp_path / str(day))))
    assert drop_old(store, keep=1) == (A,)
    verify(store, load(store, snapshot_uri=str(tmp_path / "11")))
    assert state_of(store, A) is State.VERIFIED
    publish(store, A, actor="test")
    assert current(store) == A


def _manifest(snapshot_id: str) -> Manifest:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Manifest(
        snapshot_id=snapshot_id,
        as_of=at.date(),
        cut_off=at,
        created_at=at,
        tables={name: TableCounts(rows=0, checksum="0" * 16) for name in TABLES},
        gate=GateVerdict(passed=True),
    )
