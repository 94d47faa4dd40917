"""The pointer: which snapshot is served. It moves by one row; readers poll it and never see half of a move."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from data_contracts.errors import GateError, InputError
from data_contracts.night import parse_snapshot_id
from sql.client import AsyncStore, Store
from sql.states import State, state_of

_POINTERS = "published_snapshots_v1/pointers"


class MoveKind(StrEnum):
    PUBLISH = "publish"
    ROLLBACK = "rollback"


@dataclass(frozen=True)
class Move:
    """One move of the pointer. Moves are ordered by seq, then moved_at, then snapshot_id."""

    seq: int
    moved_at: datetime
    snapshot_id: str
    action: MoveKind
    actor: str
    why: str


@dataclass(frozen=True)
class Pointers:
    """All that serving polls, of one moment. `rules_seq` names the rule set; 0 before the first."""

    snapshot_id: str | None
    rules_seq: int
    blocked_items: tuple[str, ...]

    @classmethod
    def of(cls, rows: Sequence[Sequence[Any]]) -> Self:
        ((snapshot_id, rules_seq, blocked_items),) = rows
        return cls(snapshot_id=snapshot_id or None, rules_seq=rules_seq, blocked_items=tuple(blocked_items))


def read_pointers(store: Store) -> Pointers:
    return Pointers.of(store.rows(_POINTERS))


async def read_pointers_async(store: AsyncStore) -> Pointers:
    return Pointers.of(await store.rows(_POINTERS))


def current(store: Store) -> str | None:
    """The snapshot that is served, None before the first publish."""
    return read_pointers(store).snapshot_id


def publish(store: Store, snapshot_id: str, *, actor: str, why: str = "") -> None:
    """Make a snapshot current. Raises InputError for one that is not here, GateError for one that is not verified."""
    _refuse_unverified(store, snapshot_id)
    _move(store, snapshot_id, action=MoveKind.PUBLISH, actor=actor, why=why)


def rollback(store: Store, *, actor: str, why: str = "", to: str | None = None) -> str:
    """Go back to `to`, or to what was served before the current snapshot. Returns the snapshot now current.

    Raises InputError when there is nothing to go back to.
    """
    target = to or _previous(moves(store))
    _refuse_unverified(store, target)
    _move(store, target, action=MoveKind.ROLLBACK, actor=actor, why=why)
    return target


def moves(store: Store) -> tuple[Move, ...]:
    """Every move so far, oldest first."""
    return tuple(
        Move(seq=seq, moved_at=moved_at, snapshot_id=snapshot_id, action=MoveKind(action), actor=actor, why=why)
        for seq, moved_at, snapshot_id, action, actor, why in store.rows("published_snapshots_v1/history")
    )


def served(history: Iterable[Move]) -> tuple[str, ...]:
    """The snapshots that further rollbacks would walk through, the current one last.

    A publish puts its snapshot on top. A rollback takes off everything above its target, so a snapshot that was
    withdrawn is never what a later rollback returns to.
    """
    stack: list[str] = []
    for move in history:
        if move.action is MoveKind.ROLLBACK and move.snapshot_id in stack:
            del stack[stack.index(move.snapshot_id) + 1 :]
        else:
            stack = [*(snapshot for snapshot in stack if snapshot != move.snapshot_id), move.snapshot_id]
    return tuple(stack)


def _previous(history: Iterable[Move]) -> str:
    stack = served(history)
    if len(stack) < 2:
        raise InputError("there is no earlier snapshot to roll back to")
    return stack[-2]


def _refuse_unverified(store: Store, snapshot_id: str) -> None:
    parse_snapshot_id(snapshot_id)
    state = state_of(store, snapshot_id)
    if state is None or state is State.DROPPED:
        raise InputError(f"snapshot {snapshot_id} is not in ClickHouse: load it first")
    if state is not State.VERIFIED:
        raise GateError(f"snapshot {snapshot_id} is {state}, not verified against its manifest: load it again")


def _move(store: Store, snapshot_id: str, *, action: MoveKind, actor: str, why: str) -> None:
    store.run("published_snapshots_v1/move", snapshot_id=snapshot_id, action=action.value, actor=actor, why=why)
