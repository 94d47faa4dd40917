"""States folded day by day: against plain Python, however the days are cut, late, repeated or missing."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.night import NightParams, Sources
from data_contracts.vocabulary import Action
from spark_jobs.features.behaviour_table import behaviour_batch, behaviour_of
from spark_jobs.features.cells import (
    COUNT_DAYS,
    DOMAINS,
    GROUPS,
    MASK_DAYS,
    MICROS_PER_DAY,
    SPEND_DAYS,
    Behaviour,
    Happenings,
    fold_day,
    topic_code,
)
from spark_jobs.features.history import (
    ACTION_CODES,
    COUNTS,
    HALF_LIVES_HOURS,
    MICROSECONDS_PER_HOUR,
    STATS,
    Events,
    UserHistory,
    build_history,
    decayed_name,
    fold_history,
)
from spark_jobs.features.increments import (
    Fold,
    Record,
    folds,
    has_features,
    is_current,
    layout_of,
    read_records,
    write_records,
)

DAYS = 40
USERS = 3
MOST = 3
TOPICS = [topic_code(word) for word in ("phones", "drinks", "loan")]


@dataclass(frozen=True)
class Event:
    user: int
    day: int
    second: int
    place: int
    topic: int
    item: int
    weight: float

    @property
    def time(self) -> int:
        return self.day * MICROS_PER_DAY + self.second * 1_000_000

    @property
    def key(self) -> tuple[int, int]:
        return self.place % 2, self.place // 2


events = st.lists(
    st.builds(
        Event,
        user=st.integers(0, USERS - 1),
        day=st.one_of(st.integers(0, DAYS - 1), st.sampled_from([0, 7, DAYS - 1])),
        second=st.integers(0, 86_399),
        place=st.integers(0, 3),
        topic=st.sampled_from(TOPICS),
        item=st.integers(0, 5),
        weight=st.floats(0, 1000, width=32),
    ),
    max_size=60,
)


def happenings(stream: Sequence[Event]) -> Happenings:
    return Happenings(
        user=np.array([one.user for one in stream], np.int64),
        time=np.array([one.time for one in stream], np.int64),
        domain=np.array([one.key[0] for one in stream], np.uint8),
        group=np.array([one.key[1] for one in stream], np.uint8),
        topic=np.array([one.topic for one in stream], np.int64),
        item=np.array([one.item for one in stream], np.int64),
        weight=np.array([one.weight for one in stream], np.float64),
    )


def folded(state: Behaviour, stream: Sequence[Event], days: Iterable[int], most: int = 200) -> Behaviour:
    told = happenings(stream)
    for day in days:
        start, end = day * MICROS_PER_DAY, (day + 1) * MICROS_PER_DAY
        state = fold_day(state, told.between(start, end), start=start, end=end, max_items=most)
    return state


def assert_same(left: Behaviour, right: Behaviour) -> None:
    for name in ("cell_user", "cells", "item_user", "items"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))


@settings(deadline=None)
@given(events)
def test_folded_sums_are_those_of_all_events_at_once(stream: list[Event]) -> None:
    state = folded(Behaviour.nothing(USERS), stream, range(DAYS))
    end = DAYS * MICROS_PER_DAY
    by_cell = defaultdict(list)
    for one in stream:
        by_cell[one.user, *one.key, one.topic].append(one)
    found = {}
    for user, cell in zip(state.cell_user, state.cells, strict=True):
        found[int(user), int(cell["domain"]), int(cell["group"]), int(cell["topic"])] = cell
    assert found.keys() == by_cell.keys()
    for key, told in by_cell.items():
        ages = [(end - one.time) / MICROS_PER_DAY for one in told]
        expected = [sum(0.5 ** (age / days) for age in ages) for days in COUNT_DAYS]
        for days in SPEND_DAYS:
            expected.append(sum(one.weight * 0.5 ** (age / days) for one, age in zip(told, ages, strict=True)))
        np.testing.assert_allclose(found[key]["sums"], expected, rtol=1e-6, atol=1e-300)
        assert found[key]["last"] == max(one.time for one in told)
        active = {DAYS - one.day - 1 for one in told if DAYS - one.day <= MASK_DAYS}
        assert found[key]["mask"] == sum(1 << bit for bit in active)


@settings(deadline=None)
@given(events, st.integers(0, DAYS))
def test_where_a_night_begins_changes_no_bit(stream: list[Event], cut: int) -> None:
    before = folded(Behaviour.nothing(USERS), stream, range(cut), most=MOST)
    stored = behaviour_batch(before, np.arange(USERS), date(2026, 3, 16))
    read = behaviour_of(stored, stored.column("user_id").to_numpy(), users=USERS)
    assert_same(
        folded(read, stream, range(cut, DAYS), most=MOST),
        folded(Behaviour.nothing(USERS), stream, range(DAYS), most=MOST),
    )


@settings(deadline=None)
@given(events, st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_no_bit(stream: list[Event], draw: "np.random.Generator") -> None:
    shuffled = list(stream)
    draw.shuffle(shuffled)  # type: ignore[arg-type]
    nothing = Behaviour.nothing(USERS)
    assert_same(folded(nothing, stream, range(DAYS), MOST), folded(nothing, shuffled, range(DAYS), MOST))


@settings(deadline=None)
@given(events, st.integers(0, DAYS - 1), st.integers(1, 7))
def test_a_late_day_is_made_good_by_folding_on_from_before_it(stream: list[Event], day: int, late_by: int) -> None:
    """The night goes back to the state before the day that changed; so a late event ends where it would have been."""
    now = min(day + late_by, DAYS)
    known = [one for one in stream if one.day != day]
    before = folded(Behaviour.nothing(USERS), known, range(day), most=MOST)
    assert_same(
        folded(before, stream, range(day, now), most=MOST),
        folded(Behaviour.nothing(USERS), stream, range(now), most=MOST),
    )


@settings(deadline=None)
@given(events)
def test_only_the_latest_items_of_a_domain_and_group_are_known(stream: list[Event]) -> None:
    state = folded(Behaviour.nothing(USERS), stream, range(DAYS), most=MOST)
    last: dict[tuple[int, ...], dict[int, int]] = defaultdict(dict)
    for one in stream:
        items = last[one.user, *one.key]
        items[one.item] = max(items.get(one.item, -1), one.time)
    expected = {
        key: dict(sorted(items.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST]) for key, items in last.items()
    }
    found: dict[tuple[int, ...], dict[int, int]] = defaultdict(dict)
    for user, row in zip(state.item_user, state.items, strict=True):
        found[int(user), int(row["domain"]), int(row["group"])][int(row["item"])] = int(row["last"])
    assert found == expected


def test_what_was_not_done_for_long_is_forgotten() -> None:
    once = [Event(0, 0, 0, 0, TOPICS[0], 1, 1.0)]
    step = [Event(0, 0, 0, 0, TOPICS[0], 1, 1.0)]
    told = happenings(step)
    steps = Happenings(**{**vars(told), "domain": np.array([DOMAINS.index("product_events")], np.uint8)})
    nothing = Behaviour.nothing(USERS)
    assert len(folded(nothing, once, range(120)).cells) == 1
    assert len(folded(nothing, once, range(121)).cells) == 0
    state = fold_day(nothing, steps, start=0, end=MICROS_PER_DAY)
    for day in range(1, 300):
        state = fold_day(state, happenings([]), start=day * MICROS_PER_DAY, end=(day + 1) * MICROS_PER_DAY)
    assert len(state.cells) == 1


def test_codes_of_domains_and_groups_fit_their_bytes() -> None:
    assert len(DOMAINS) < 256
    assert len(GROUPS) < 256
    assert len(set(GROUPS)) == len(GROUPS)


offer_events = st.lists(
    st.tuples(st.integers(1, 3), st.integers(0, 4), st.sampled_from(list(Action)), st.integers(0, DAYS * 24 * 12 - 1)),
    max_size=60,
)


def as_events(stream: Sequence[tuple[int, int, Action, int]]) -> Events:
    user, item, action, slot = zip(*stream, strict=True) if stream else ((), (), (), ())
    return Events(
        np.array(user, np.int64),
        np.array(item, np.int32),
        np.array([ACTION_CODES[one] for one in action], np.int8),
        np.array(slot, np.int64) * (MICROSECONDS_PER_HOUR // 12),
        np.ones(len(user), np.float32),
    )


def history(before: UserHistory, told: Events, days: Iterable[int], most: int = 200) -> UserHistory:
    for day in days:
        before = fold_history(before, told, start=day * MICROS_PER_DAY, end=(day + 1) * MICROS_PER_DAY, max_items=most)
    return before


@settings(deadline=None)
@given(offer_events, st.integers(0, DAYS))
def test_where_a_night_begins_changes_no_bit_of_a_history(stream: list[tuple[int, int, Action, int]], cut: int) -> None:
    told = as_events(stream)
    parts = history(history(UserHistory.empty(), told, range(cut), MOST), told, range(cut, DAYS), MOST)
    whole = history(UserHistory.empty(), told, range(DAYS), MOST)
    for name in ("user_ids", "indptr", "item_code", "stats"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


@settings(deadline=None)
@given(offer_events, st.integers(1, 27))
def test_a_folded_history_is_the_one_built_of_all_events(stream: list[tuple[int, int, Action, int]], days: int) -> None:
    told = as_events(stream)
    left = history(UserHistory.empty(), told, range(days))
    right = build_history(told, as_of=days * MICROS_PER_DAY)
    np.testing.assert_array_equal(left.user_ids, right.user_ids)
    np.testing.assert_array_equal(left.indptr, right.indptr)
    np.testing.assert_array_equal(left.item_code, right.item_code)
    np.testing.assert_allclose(left.stats, right.stats, rtol=2e-6, atol=1e-30)


def test_counts_of_a_history_decay_with_each_day() -> None:
    told = as_events([(1, 2, Action.VIEW, 23 * 12)])
    one, two = (history(UserHistory.empty(), told, range(days)) for days in (1, 2))
    assert COUNTS[-1] == "count"
    for half_life in HALF_LIVES_HOURS:
        name = decayed_name("view", half_life)
        assert two.column(name)[0] == pytest.approx(one.column(name)[0] * 0.5 ** (24 / half_life), rel=1e-6)
    assert two.column("count")[0] == one.column("count")[0] == 1
    assert len(STATS) == two.stats.shape[1]


A, B, C = (date(2026, 3, day) for day in (1, 5, 9))


def record(as_of: date, recipe: str = "r", customers: int = 1) -> Record:
    return Record(as_of, "layout", recipe, {"silver.customers": customers, "silver.interactions": 3}, {})


def test_a_night_is_folded_from_the_newest_night_before_it() -> None:
    assert folds([C], [A, B]) == (Fold(B, (C,)),)
    assert folds([C], [C, A]) == (Fold(A, (C,)),)
    assert folds([C], []) == (Fold(None, (C,)),)


def test_nights_without_a_state_between_them_are_made_in_one_pass() -> None:
    assert folds([B, C], [A]) == (Fold(A, (B, C)),)
    assert folds([A, B, C], [B - timedelta(days=1)]) == (Fold(None, (A,)), Fold(B - timedelta(days=1), (B, C)))


def test_the_night_itself_is_made_again_when_its_facts_are_newer_an_earlier_one_is_not() -> None:
    records = {A: record(A), C: record(C)}
    assert is_current(records, record(C))
    assert not is_current(records, record(C, customers=2))
    assert has_features(records, A, record(C, customers=2))
    assert not has_features(records, A, record(C, recipe="other"))
    assert not has_features(records, B, record(C))


def test_states_of_another_time_zone_or_offer_domain_are_not_folded_on(tmp_path: Path) -> None:
    params = NightParams(as_of=A, lake=str(tmp_path), sources=Sources(tecd="x"))
    others = [{"timezone": "Asia/Novosibirsk"}, {"offer_domains": ("marketplace",)}]
    layouts = {layout_of(params.model_copy(update=other)) for other in ({}, *others)}
    assert len(layouts) == 3


def test_records_that_cannot_be_read_count_as_none(tmp_path: Path) -> None:
    assert read_records(str(tmp_path)) == {}
    write_records(str(tmp_path), {A: record(A), C: record(C)})
    assert read_records(str(tmp_path)) == {A: record(A), C: record(C)}
    for broken in ("{broken", "[1]", '[{"as_of": "2026-03-01"}]'):
        (tmp_path / "features" / "records.json").write_text(broken)
        assert read_records(str(tmp_path)) == {}
