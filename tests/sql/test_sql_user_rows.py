"""A look-up's rows hold all that the published tables say of a user, whenever and however these were loaded."""

from pathlib import Path

import orjson
import pyarrow as pa
import pytest

from data_contracts.errors import GateError
from data_contracts.overlay import EventRow
from data_contracts.overlay.rows import FOR_GOOD, MAX_CUT_OFF
from sql.client import Address, Store, connected
from sql.load import load
from sql.migrate import migrate, steps
from sql.user_events import clear_mirrored, erase_events, put_events, without_held_out
from sql.user_rows import fill_user_rows
from sql.verify import verify
from tests.sql.snapshots import user_ids, write_snapshot

ID = "2026-03-15.1"
LISTS = ("product_items", "product_scores", "product_reasons", "offer_items", "offer_scores", "offer_reasons")
STATE = (
    "segment",
    "holdings",
    "birth_year",
    "region",
    "income_band",
    "employment",
    "score_band",
    "arrears_days",
    "consents",
)


def test_a_user_s_row_says_what_lists_and_states_say(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sql.user_rows._USERS", 7)  # many ranges
    write_snapshot(tmp_path, snapshot_id=ID)
    load(store, snapshot_uri=str(tmp_path))
    asked = user_ids(300).to_pylist()
    rows = _rows(store, asked)
    found = {user_id: orjson.loads(body) for user_id, body in rows}
    lists = _by_user(store.table("lists_v1/lookup", snapshot_id=ID, user_ids=asked), ("variant", *LISTS))
    states = _by_user(store.table("user_state_v1/lookup", snapshot_id=ID, user_ids=asked), STATE)
    assert found == {one: [lists.get(one, []), states.get(one, [])] for one in {*lists, *states}}
    assert len(rows) == len(found) > 7


def test_a_user_with_a_list_alone_has_a_row_too(store: Store, tmp_path: Path) -> None:
    write_snapshot(tmp_path, snapshot_id=ID)
    load(store, snapshot_uri=str(tmp_path))
    somebody = _everybody(store)[-1][0]
    store.run("user_state_v1/stage")
    store.run("user_state_v1/without_user", snapshot_id=ID, user_id=somebody)
    store.run("user_state_v1/replace", snapshot_id=ID)
    fill_user_rows(store, ID)
    ((_, body),) = _rows(store, [somebody])
    lists, states = orjson.loads(body)
    assert lists and not states


def test_snapshots_that_were_loaded_before_the_table_came_get_their_rows_though_it_be_killed_once(
    address: Address, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_snapshot(tmp_path, snapshot_id=ID)
    load(store, snapshot_uri=str(tmp_path))
    before = _everybody(store)
    _forget_user_rows(address)
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr("sql.migrate.fill_user_rows", _killed)
        migrate(address)
    assert migrate(address)[0] == "user_rows_v1/create", "a step that was not ended is taken again"
    assert _everybody(store) == before


def test_events_lie_beside_the_rows_and_those_of_before_the_view_are_taken_over(address: Address, store: Store) -> None:
    _forget_user_rows(address)
    put_events(store, [_event(1, "before")])
    migrate(address)
    put_events(store, [_event(1, "after"), _event(2, "other")])
    put_events(store, [_event(1, "after")])
    assert set(_events(store, [1])) == {"before", "after"}
    without_held_out(store, day="after", kept="afterwards")
    assert _events(store, [1]) == ["before"]
    erase_events(store, 1)
    assert (_events(store, [1]), _events(store, [2])) == ([], ["other"])
    clear_mirrored(store)
    assert _events(store, [2]) == []


def test_rows_that_are_not_those_of_the_tables_fail_the_gate(store: Store, tmp_path: Path) -> None:
    write_snapshot(tmp_path, snapshot_id=ID)
    manifest = load(store, snapshot_uri=str(tmp_path))
    store.run("user_rows_v1/drop", snapshot_id=ID)
    with pytest.raises(GateError, match="user_rows were made of 0 rows of lists"):
        verify(store, manifest)


def _event(user_id: int, event_id: str) -> EventRow:
    """A hold-out, as campaigns put them."""
    return EventRow(
        user_id=user_id,
        event_time=1,
        topic="campaign.interactions",
        event_type="held_out",
        event_id=event_id,
        item_id="",
        channel="",
        family="",
        last_cut_off=MAX_CUT_OFF,
        expires_at=FOR_GOOD,
    )


def _events(store: Store, asked: list[int]) -> list[str]:
    found = store.rows("user_rows_v1/lookup", snapshot_id="none", user_ids=asked)
    return [orjson.loads(body)[2] for _, _, body in found]


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def _everybody(store: Store) -> list[tuple[int, str]]:
    return sorted(_rows(store, user_ids(300).to_pylist()))


def _rows(store: Store, asked: list[int]) -> list[tuple[int, str]]:
    found = store.rows("user_rows_v1/lookup", snapshot_id=ID, user_ids=asked)
    assert all(of_snapshot == ID for of_snapshot, _, _ in found)
    return [(user_id, body) for _, user_id, body in found]


def _by_user(table: pa.Table, columns: tuple[str, ...]) -> dict[int, list[list[object]]]:
    found: dict[int, list[list[object]]] = {}
    for row in table.sort_by("user_id").to_pylist():
        found.setdefault(row["user_id"], []).append([row[name] for name in columns])
    return {user_id: sorted(rows, key=str) for user_id, rows in found.items()}


def _forget_user_rows(address: Address) -> None:
    """As if their first step, and all that came after it, had never been."""
    with connected(address) as store:
        client = store._client
        client.command("DROP VIEW user_events_to_rows SYNC")
        client.command("DROP TABLE user_rows SYNC")
        client.command("DROP TABLE user_rows_staging SYNC")
        first = steps().index("user_rows_v1/create") + 1
        client.command(f"ALTER TABLE migrations DELETE WHERE step >= {first} SETTINGS mutations_sync = 2")
