"""What a user's history and an item's features are, by hand and by their laws."""

from dataclasses import replace

import numpy as np
import pytest

from data_contracts.vocabulary import Action
from spark_jobs.features.history import (
    ACTION_CODES,
    MICROSECONDS_PER_HOUR,
    NEVER_HOURS,
    Events,
    UserHistory,
    build_history,
)
from spark_jobs.features.item_features import ItemAttributes, ItemSums, item_features, item_sums
from spark_jobs.features.offer_tables import history_batch, history_of, vector_batch, vectors_of
from tests.unit.offer_events import DAY, N_ITEMS, offer_events, shuffled

HOUR = MICROSECONDS_PER_HOUR


def events(*rows: tuple[int, int, Action, float]) -> Events:
    """(user, item, action, hour)."""
    user, item, action, hour = zip(*rows, strict=True)
    return Events(
        user_id=np.array(user, np.int64),
        item_code=np.array(item, np.int32),
        action=np.array([ACTION_CODES[one] for one in action], np.int8),
        time=np.array([round(one * HOUR) for one in hour], np.int64),
        weight=np.ones(len(user), np.float32),
    )


def assert_same(left: UserHistory, right: UserHistory) -> None:
    for name in ("user_ids", "indptr", "item_code", "stats"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))


def test_counts_decay_by_half_a_half_life_and_ages_are_hours_before_the_as_of() -> None:
    history = build_history(
        events((7, 2, Action.VIEW, 4.0), (7, 2, Action.VIEW, 10.0), (7, 2, Action.CLICK, 4.0)), as_of=10 * HOUR + 1
    )
    assert history.column("view_6h")[0] == pytest.approx(1.5, abs=1e-6)
    assert history.column("click_6h")[0] == pytest.approx(0.5, abs=1e-6)
    assert history.column("buy_6h")[0] == 0
    assert history.column("count")[0] == 3
    ages = [history.column(name)[0] for name in ("last_age", "first_age", "click_age")]
    assert ages == pytest.approx([0, 6, 6], abs=1e-6)


def test_what_was_never_clicked_was_clicked_very_long_ago() -> None:
    assert build_history(events((7, 2, Action.VIEW, 1.0)), as_of=HOUR * 2).column("click_age")[0] == NEVER_HOURS


def test_nothing_at_or_after_the_as_of_counts() -> None:
    before = events((1, 1, Action.VIEW, 1.0), (2, 5, Action.CLICK, 2.0))
    later = events(
        (1, 1, Action.VIEW, 1.0), (2, 5, Action.CLICK, 2.0), (1, 1, Action.CLICK, 3.0), (9, 9, Action.VIEW, 8.0)
    )
    assert_same(build_history(before, as_of=3 * HOUR), build_history(later, as_of=3 * HOUR))


def test_the_order_in_which_events_come_changes_no_bit() -> None:
    assert_same(build_history(offer_events(), as_of=4 * DAY), build_history(shuffled(offer_events()), as_of=4 * DAY))


def test_only_the_latest_items_of_a_user_are_kept_latest_first() -> None:
    history = build_history(
        events(*((1, item, Action.VIEW, float(item)) for item in range(9))), as_of=99 * HOUR, max_items=3
    )
    assert history.item_code.tolist() == [8, 7, 6]
    assert history.positions.tolist() == [0, 1, 2]


def test_a_block_and_a_choice_of_users_hold_the_same_rows() -> None:
    history = build_history(offer_events(), as_of=4 * DAY)
    assert_same(history.block(10, 20), history.for_users(history.user_ids[10:20]))
    assert history.for_users(np.array([-4, 10**9])).sizes.tolist() == [0, 0]


def test_histories_and_vectors_survive_their_binary_columns() -> None:
    history = build_history(offer_events(), as_of=4 * DAY)
    batch = history_batch(history)
    assert_same(history, history_of(batch))
    assert_same(history.block(5, 9), history_of(batch.slice(5, 4)))
    vectors = np.random.default_rng(1).random((4, 3)).astype(np.float32)
    np.testing.assert_array_equal(vectors, vectors_of(vector_batch(np.arange(4), vectors), factors=3))


def test_item_sums_of_parts_of_the_users_add_up_to_those_of_all() -> None:
    history = build_history(offer_events(), as_of=4 * DAY)
    whole = item_sums(history, n_items=N_ITEMS)
    parts = [item_sums(history.block(first, first + 13), n_items=N_ITEMS) for first in range(0, len(history), 13)]
    np.testing.assert_array_equal(whole.users, sum(part.users for part in parts))
    np.testing.assert_array_equal(whole.counts, sum(part.counts for part in parts))
    np.testing.assert_array_equal(whole.nearest, np.minimum.reduce([part.nearest for part in parts]))
    np.testing.assert_array_equal(whole.farthest, np.maximum.reduce([part.farthest for part in parts]))


def test_item_features_tell_popular_from_rare_and_rising_from_falling() -> None:
    seen = [(user, 0, Action.VIEW, 1.0) for user in range(8)] + [(user, 1, Action.VIEW, 23.0) for user in range(8)]
    history = build_history(events(*seen, (1, 2, Action.CLICK, 23.0)), as_of=24 * HOUR)
    features = item_features(item_sums(history, n_items=4), attributes=ItemAttributes.unknown(4))
    assert features.column("users_share")[0] == features.column("users_share")[1] > features.column("users_share")[2]
    rising = features.column("trend_1h_3h")
    assert rising[1] > rising[0]
    assert features.column("click_through")[2] > features.column("click_through")[0]
    assert features.column("last_age")[3] == NEVER_HOURS


def test_shares_do_not_depend_on_how_many_users_were_looked_at() -> None:
    one = item_sums(build_history(offer_events(), as_of=4 * DAY), n_items=N_ITEMS)
    double = ItemSums(one.users * 2, one.counts * 2, one.nearest, one.farthest)
    left, right = (item_features(sums, attributes=ItemAttributes.unknown(N_ITEMS)) for sums in (one, double))
    np.testing.assert_allclose(left.column("pop_view_6h"), right.column("pop_view_6h"))


def test_weights_count_as_so_many_events() -> None:
    twice = replace(events((1, 1, Action.VIEW, 1.0)), weight=np.array([2.0], np.float32))
    assert build_history(twice, as_of=2 * HOUR).column("count")[0] == 2
