"""The best users of each product, picked task by task: beside everybody sorted at once, however users are dealt."""

from collections.abc import Mapping

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.vocabulary import Variant
from spark_jobs.scoring.audience_pool import FEWEST, Picker, PoolSize, Reach

_PRODUCTS = 3
User = tuple[int, int, int]  # shortfall, user id, score


def _reach(rng: np.random.Generator, users: int) -> Reach:
    """Few different ranks, so that many are equal; ids in no order."""
    shape = (users, _PRODUCTS)
    return Reach(
        user_ids=rng.permutation(users).astype(np.int64) * 10**15,
        may_be_shown=rng.random(shape) < 0.7,
        scores=rng.integers(0, 65_536, shape).astype(np.uint16),
        ranks=rng.choice([0, 1, 2, 700, 65_535], shape).astype(np.uint16),
    )


def _rows(reach: Reach, chosen: np.ndarray) -> Reach:
    return Reach(reach.user_ids[chosen], reach.may_be_shown[chosen], reach.scores[chosen], reach.ranks[chosen])


def _brute(reach: Reach, item: int) -> list[User]:
    return sorted(
        (65_535 - int(reach.ranks[row, item]), int(reach.user_ids[row]), int(reach.scores[row, item]))
        for row in range(len(reach.user_ids))
        if reach.may_be_shown[row, item]
    )


def _handed_on(reach: Reach, size: PoolSize, *, dealt: np.ndarray, block: int) -> list[Mapping[str, object]]:
    rows = []
    for task in range(size.tasks):
        picker, own = Picker(size), np.flatnonzero(dealt == task)
        for first in range(0, len(own), block):
            picker.take(Variant.PERSONAL, _rows(reach, own[first : first + block]))
        rows += picker.parts().to_pylist()
    return rows


@given(st.integers(0, 2**32 - 1), st.integers(0, 90), st.integers(1, 5), st.integers(1, 40))
def test_what_stands_before_the_first_left_out_is_exactly_the_best_of_all(
    seed: int, users: int, tasks: int, block: int
) -> None:
    rng = np.random.default_rng(seed)
    reach, size = _reach(rng, users), PoolSize(tasks, fewest=10, spread=0.5)
    parts = _handed_on(reach, size, dealt=rng.integers(0, tasks, users), block=block)
    for item in range(_PRODUCTS):
        of_item, best = [part for part in parts if part["item"] == item], _brute(reach, item)
        assert sum(part["eligible"] for part in of_item) == len(best)
        merged = sorted(tuple(user.values()) for part in of_item for user in part["best"])
        left_out = min((tuple(part["beyond"].values()) for part in of_item if part["beyond"]), default=None)
        known = [user for user in merged if left_out is None or user[:2] < left_out]
        assert known == best[: len(known)]
        assert len(known) == len(best) if left_out is None else best[len(known)][:2] == left_out


def test_a_task_hands_on_a_little_more_than_its_part_and_where_all_are_kept_everybody() -> None:
    size = PoolSize(tasks=3_520)
    assert 12_500 / 20 < size.of_task(12_500) < 0.08 * 12_500
    assert FEWEST / 3_520 < size.of_task(300) < 4 * FEWEST / 3_520
    assert PoolSize(tasks=8).of_task(12_500) >= 12_500


def test_users_dealt_by_chance_are_enough_for_the_cut_to_be_where_it_is_asked_for() -> None:
    rng, users, tasks = np.random.default_rng(3), 40_000, 20
    reach, size = _reach(rng, users), PoolSize(tasks, fewest=300)
    parts = _handed_on(reach, size, dealt=rng.integers(0, tasks, users), block=500)
    for item in range(_PRODUCTS):
        eligible, best = sum(part["eligible"] for part in parts if part["item"] == item), _brute(reach, item)
        left_out = min(tuple(part["beyond"].values()) for part in parts if part["item"] == item)
        assert best[max(300, -(-eligible // 20)) - 1][:2] < left_out


def test_only_variants_that_audiences_are_made_by_are_kept() -> None:
    reach, picker = _reach(np.random.default_rng(1), 5), Picker(PoolSize(1))
    for variant in (Variant.CHALLENGER, Variant.UPLIFT, Variant.PERSONAL):
        picker.take(variant, reach)
    assert set(picker.parts()["variant"].to_pylist()) == {"personal", "uplift"}
    assert Picker(PoolSize(1)).parts().num_rows == 0
