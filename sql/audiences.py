"""Audiences as they came out: what was asked for, and their members."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sql.client import Store

MEMBERS = "audience_members"
_MOST_RUNNING = 20


@dataclass(frozen=True)
class Members:
    """M users in total order, best first; scores as stored."""

    user_ids: NDArray[np.int64]
    scores: NDArray[np.uint16]
    is_control: NDArray[np.bool_]


@dataclass(frozen=True)
class KeptAudience:
    """`request` and `outcome` are JSON; `members`: what its rows of members are called."""

    created_at: datetime
    actor: str
    snapshot_id: str
    request: str
    outcome: str
    members: str


@dataclass(frozen=True)
class Member:
    place: int
    user_id: int
    score: int


def put_audience(
    store: Store,
    audience_id: str,
    members: Members,
    *,
    name: str,
    actor: str,
    snapshot_id: str,
    request: str,
    outcome: str,
) -> None:
    """The members first, by a `name` of this one's own: an audience that is found is whole.

    Where several were put under one id, the first of them is the audience.
    """
    count = len(members.user_ids)
    table = pa.table(
        {
            "audience_id": pa.array([name] * count, pa.string()),
            "place": pa.array(np.arange(1, count + 1), pa.uint32()),
            "user_id": pa.array(members.user_ids, pa.uint64()),
            "score": pa.array(members.scores, pa.uint16()),
            "is_control": pa.array(members.is_control, pa.bool_()),
        }
    )
    if count:
        store.insert(MEMBERS, table)
    store.run(
        "audiences_v1/put",
        audience_id=audience_id,
        actor=actor,
        snapshot_id=snapshot_id,
        request=request,
        outcome=outcome,
        members=name,
    )


def audience(store: Store, audience_id: str) -> KeptAudience | None:
    rows = store.rows("audiences_v1/read", audience_id=audience_id)
    return KeptAudience(*rows[0]) if rows else None


def members_after(store: Store, members: str, *, after: int, most: int) -> Sequence[Member]:
    """Without the control group."""
    rows = store.rows("audience_members_v1/page", audience_id=members, after=after, most=most)
    return [Member(*row) for row in rows]


def controls(store: Store, members: str) -> NDArray[np.int64]:
    """User ids of the control group."""
    found = store.table("audience_members_v1/controls", audience_id=members)
    return np.asarray(found["user_id"].to_numpy().astype(np.int64))


def running_members(store: Store) -> Mapping[str, NDArray[np.int64]]:
    """User ids of the newest audiences of the last 30 days, by audience."""
    running = {str(one): str(members) for one, members in store.rows("audiences_v1/running", most=_MOST_RUNNING)}
    if not running:
        return {}
    table = store.table("audience_members_v1/of_audiences", audience_ids=list(running.values()))
    names, users = np.asarray(table["audience_id"].to_pylist()), table["user_id"].to_numpy().astype(np.int64)
    return {audience_id: users[names == members] for audience_id, members in running.items()}
