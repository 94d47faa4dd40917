"""Tables keep what happened as long as an answer of then may have to be explained; the end of time is no end."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from data_contracts.keeping import EVENTS_KEPT, EXPOSURES_KEPT
from data_contracts.overlay import EventRow
from data_contracts.overlay.kinds import KINDS
from data_contracts.overlay.rows import FOR_GOOD, MAX_CUT_OFF, micros, row_of
from data_contracts.rec_id import MOST_DAYS
from sql.client import Store
from sql.day_logs import DAY_LOGS, put_log
from sql.looking_back import logged_answer, recent_events
from sql.user_events import put_events

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
EXPLAINED = timedelta(days=MOST_DAYS)
USER = 7


def until(item_id: str, end: datetime) -> EventRow:
    """An event that counts until then."""
    happened = micros(end - 30 * DAY)
    seconds = int(end.timestamp())
    return EventRow(USER, happened, "t", "dismissed", item_id, item_id, "web", "", MAX_CUT_OFF, seconds)


def merged(store: Store, table: str) -> None:
    store.run_text(f"OPTIMIZE TABLE {table} FINAL", what="the test's merge")


def test_an_event_is_kept_beyond_its_end_as_long_as_answers_of_then_are_explained(store: Store) -> None:
    oldest = NOW - EXPLAINED  # answer that is explained still
    put_events(store, [until("counted", oldest), until("gone", NOW - EVENTS_KEPT - DAY)])
    merged(store, "user_events")
    assert [event.item_id for event in recent_events(store, USER, most=9)] == ["counted"]


def test_what_suppresses_for_good_outlives_every_end(store: Store) -> None:
    """A time added to the last second that there is would begin anew in 1970."""
    long_ago = micros(NOW - 4_000 * DAY)
    lasting = {(kind.topic, str(kind.event_type)) for kind in KINDS if kind.window is None}
    rows = [
        row_of(
            topic,
            {"event_id": event_type, "event_time": long_ago, "user_id": USER, "event_type": event_type},
            arrived=long_ago,
            skew=0,
        )
        for topic, event_type in sorted(lasting)
    ]
    put_events(store, [*filter(None, rows), until("nearly for good", datetime.fromtimestamp(FOR_GOOD - 1, UTC))])
    for table in ("user_events", "user_rows"):
        merged(store, table)
    left = {(event.topic, event.event_type) for event in recent_events(store, USER, most=99)}
    assert left == {*lasting, ("t", "dismissed")}
    looked_up = store.rows("user_rows_v1/lookup", snapshot_id="none", user_ids=[USER])
    assert {tuple(json.loads(body)[:2]) for *_, body in looked_up} == left


@pytest.mark.parametrize(("age", "is_kept"), [(EXPOSURES_KEPT - DAY, True), (EXPOSURES_KEPT + DAY, False)])
def test_an_answer_is_logged_as_long_as_what_became_of_it_is_explained(
    store: Store, age: timedelta, is_kept: bool
) -> None:
    at = datetime.now(UTC) - age  # not of when the file was read: days count, and it may have been yesterday
    seen = {"event_id": "e", "event_time": at, "user_id": USER, "rec_id": "r", "items": []}
    put_log(store, DAY_LOGS["recommendation.exposures"], [seen])
    merged(store, "exposures")
    assert (logged_answer(store, "r", at=micros(at)) is not None) is is_kept


def test_no_table_forgets_an_answer_or_event_before_the_longest_window_and_explanation_have_passed() -> None:
    of_lists = [kind.window for kind in KINDS if kind.of_list and kind.window]
    assert (EVENTS_KEPT - EXPLAINED).days >= 1
    # Dismissed on its last day, out of answers for the window, and those explained on their last day.
    assert of_lists
    assert all((EXPOSURES_KEPT - EXPLAINED - window - EXPLAINED).days >= 1 for window in of_lists)
