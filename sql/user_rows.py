"""What a look-up needs of a user as one row: made of a snapshot's lists and states, read by `user_rows_v1/lookup`."""

from sql.client import Store
from sql.staging import LARGE_PARTS, begin_staging, put_staged

USER_ROWS = "user_rows"
# At once: their rows are held in memory while they are made.
_USERS = 1_000_000
_LARGEST_ID = 2**64 - 1


def fill_user_rows(store: Store, snapshot_id: str) -> None:
    """Of the loaded lists and states. Safe to run again; it replaces its own partition."""
    begin_staging(store, table=USER_ROWS, snapshot_id=snapshot_id)
    first = 0
    while first <= _LARGEST_ID:
        ((last, users),) = store.rows("user_rows_v1/range", snapshot_id=snapshot_id, first=first, most=_USERS)
        if users < _USERS:
            last = _LARGEST_ID
        store.run("user_rows_v1/fill", settings=LARGE_PARTS, snapshot_id=snapshot_id, first=first, last=last)
        first = last + 1
    put_staged(store, table=USER_ROWS, snapshot_id=snapshot_id)


def counted_user_rows(store: Store, snapshot_id: str) -> dict[str, int]:
    """How many rows of lists and of user_state those of a snapshot were made of, by table."""
    ((lists, states),) = store.rows("user_rows_v1/counts", snapshot_id=snapshot_id)
    return {"lists": lists, "user_state": states}
