"""One contract for all candidate sources, and what each is for."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_jobs.candidates.als import als_candidates, confidence, fold_in
from spark_jobs.candidates.base import NO_ITEM, Candidates, RetrievalModel, UserBlock
from spark_jobs.candidates.blend import BY_LENGTH, LENGTHS, blend, fused, weights_of
from spark_jobs.candidates.item_item import item_item_scores, train_neighbours
from spark_jobs.candidates.params import RetrievalParams
from spark_jobs.candidates.retrieval import fit_retrieval, user_block
from spark_jobs.candidates.sources import SOURCES
from spark_jobs.features.history import Events, UserHistory, build_history
from tests.unit.offer_events import DAY, N_ITEMS, offer_events

PARAMS = RetrievalParams(als_factors=8, als_regularization=1.0, als_min_users=1, popular=30, segment_users=5)
AS_OF = 4 * DAY


@pytest.fixture(scope="module")
def history() -> UserHistory:
    return build_history(offer_events(), as_of=AS_OF)


@pytest.fixture(scope="module")
def model(history: UserHistory) -> RetrievalModel:
    segment = (history.user_ids % 3).astype(np.int16)
    return fit_retrieval(history, n_items=N_ITEMS, params=PARAMS, seed=1, segment=segment)


@pytest.mark.parametrize("name", SOURCES)
@settings(max_examples=25, deadline=None)
@given(k=st.integers(1, 60), first=st.integers(-5, 50), users=st.integers(1, 30))
def test_every_source_gives_distinct_known_items_best_first_and_at_most_k(
    *, name: str, k: int, first: int, users: int, history: UserHistory, model: RetrievalModel
) -> None:
    some = history.for_users(np.arange(first, first + users, dtype=np.int64))
    segment = (some.user_ids % 7).clip(0).astype(np.int16)
    found = SOURCES[name](user_block(some, model, segment=segment), model, k)

    assert found.codes.shape == found.scores.shape == (users, k)
    assert (found.codes.dtype, found.scores.dtype) == (np.int32, np.float32)
    for codes, scores in zip(found.codes, found.scores, strict=True):
        listed = codes[codes != NO_ITEM]
        assert (codes[len(listed) :] == NO_ITEM).all()
        assert (scores[len(listed) :] == 0).all()
        assert len(set(listed.tolist())) == len(listed)
        assert ((listed >= 0) & (listed < N_ITEMS)).all()
        order = list(zip(-scores[: len(listed)], listed, strict=True))
        assert order == sorted(order)


@pytest.mark.parametrize("name", SOURCES)
def test_a_shorter_list_is_the_head_of_a_longer_one(name: str, history: UserHistory, model: RetrievalModel) -> None:
    block = user_block(history, model)
    longer, shorter = (SOURCES[name](block, model, k) for k in (20, 6))
    np.testing.assert_array_equal(longer.codes[:, :6], shorter.codes)


@settings(max_examples=50, deadline=None)
@given(items=st.integers(0, 700), k=st.integers(1, 30), most=st.integers(0, 3), seed=st.integers(0, 10**6))
def test_als_proposes_what_sorting_all_scores_would_by_code_where_they_tie(
    *, items: int, k: int, most: int, seed: int
) -> None:
    draws = np.random.default_rng(seed)
    factors = draws.integers(-most, most + 1, (items, 2)).astype(np.float32)
    model = replace(RetrievalModel.ignorant(PARAMS, n_items=items), offered_factors=factors)
    nobody = replace(UserHistory.empty(), user_ids=np.arange(5), indptr=np.zeros(6, dtype=np.int64))
    vectors = draws.integers(-1, 2, (5, 2)).astype(np.float32)
    block = UserBlock(nobody, vectors, item_item_scores(nobody, model), np.zeros(5, dtype=np.int16))
    found = als_candidates(block, model, k)
    for vector, codes in zip(vectors, found.codes, strict=True):
        proposable = np.flatnonzero(factors.any(axis=1)) if vector.any() else np.empty(0, dtype=np.int64)
        wanted = proposable[np.lexsort((proposable, -(factors[proposable] @ vector)))][:k]
        assert codes[codes != NO_ITEM].tolist() == wanted.tolist()


@pytest.mark.parametrize("name", SOURCES)
def test_the_same_seed_gives_the_same_candidates(name: str, history: UserHistory) -> None:
    first, second = (fit_retrieval(history, n_items=N_ITEMS, params=PARAMS, seed=5) for _ in range(2))
    one = SOURCES[name](user_block(history, first), first, 10)
    other = SOURCES[name](user_block(history, second), second, 10)
    np.testing.assert_array_equal(one.codes, other.codes)
    np.testing.assert_array_equal(one.scores, other.scores)


@pytest.mark.parametrize("name", SOURCES)
def test_a_user_without_history_gets_popular_items_or_nothing(
    name: str, history: UserHistory, model: RetrievalModel
) -> None:
    nobody = history.for_users(np.array([999], dtype=np.int64))
    found = SOURCES[name](user_block(nobody, model), model, 5)
    assert found.sizes.tolist() == [5 if name == "popular" else 0]


def test_sources_work_where_there_is_no_behaviour_at_all() -> None:
    empty = fit_retrieval(UserHistory.empty(), n_items=3, params=PARAMS, seed=1)
    somebody = UserHistory.empty().for_users(np.array([4], dtype=np.int64))
    for source in SOURCES.values():
        assert source(user_block(somebody, empty), empty, 4).sizes.tolist() == [0]


def test_folding_in_solves_the_half_step_of_als(history: UserHistory, model: RetrievalModel) -> None:
    """(Y'Y + Y'(C - I)Y + λI) x = Y'C p, after Hu, Koren and Volinsky."""
    some = history.block(0, 5)
    items = model.item_factors.astype(np.float64)
    strength = PARAMS.als_alpha * confidence(some, n_items=N_ITEMS).toarray().astype(np.float64)
    vectors = fold_in(some, item_factors=model.item_factors, params=PARAMS)
    for own, vector in zip(strength, vectors, strict=True):
        extra = np.where(own > 0, own - 1, 0)
        left = items.T @ items + (items.T * extra) @ items + PARAMS.als_regularization * np.eye(items.shape[1])
        np.testing.assert_allclose(np.linalg.solve(left, items.T @ own), vector, rtol=1e-3, atol=1e-4)


def test_als_and_item_item_prefer_the_half_of_the_items_that_a_user_likes(
    history: UserHistory, model: RetrievalModel
) -> None:
    block = user_block(history, model)
    own_half = (history.user_ids % 2)[:, None]
    for name in ("als", "item_item"):
        found = SOURCES[name](block, model, 5)
        assert (
            found.codes[found.codes >= 0] // (N_ITEMS // 2) == own_half.repeat(5, 1)[found.codes >= 0]
        ).mean() > 0.95


def test_repeat_knows_only_what_the_user_met(history: UserHistory, model: RetrievalModel) -> None:
    found = SOURCES["repeat"](user_block(history, model), model, 50)
    for user, codes in enumerate(found.codes):
        own = history.item_code[history.indptr[user] : history.indptr[user + 1]]
        assert set(codes[codes >= 0].tolist()) == set(own.tolist())


def test_an_item_is_its_own_neighbour(model: RetrievalModel) -> None:
    met = np.flatnonzero(model.neighbours[:, 0] >= 0)
    assert len(met) > 20
    assert all(item in model.neighbours[item] for item in met)


def test_who_meets_much_says_less_of_any_two_items_when_told_so() -> None:
    """Item 0 is met with 1 by somebody who met nothing else, and with 2 by two people who met eight others each."""
    met = [[0, 1], [0, 2, *range(3, 11)], [0, 2, *range(11, 19)]]
    users = np.repeat(np.arange(3), [len(items) for items in met])
    items = np.concatenate(met).astype(np.int32)
    ones = np.ones(len(items), dtype=np.float32)
    events = Events(users, items, np.zeros(len(items), dtype=np.int8), np.zeros(len(items), dtype=np.int64), ones)
    told = build_history(events, as_of=1)
    for exponent, nearest in ((0.0, 2), (1.0, 1)):
        params = PARAMS.model_copy(update={"popularity_exponent": 0.0, "activity_exponent": exponent})
        codes, _ = train_neighbours(told, n_items=19, params=params)
        assert codes[0, 1] == nearest


def met_together(*baskets: tuple[int, ...]) -> UserHistory:
    """One user a basket."""
    users = np.repeat(np.arange(len(baskets)), [len(basket) for basket in baskets])
    items = np.concatenate(baskets).astype(np.int32)
    still, ones = np.zeros(len(items), dtype=np.int64), np.ones(len(items), dtype=np.float32)
    return build_history(Events(users, items, still.astype(np.int8), still, ones), as_of=1)


def test_what_was_met_proposes_its_neighbours_or_is_a_neighbour_of_what_is_proposed() -> None:
    """0 and 1 are met together twice and are nearest to each other; 2 is met with 0 alone, once, and has no other."""
    history = met_together((0, 1), (0, 1), (0, 2), (0,))
    proposed = {}
    for whose in ("met", "proposed"):
        update = {"neighbours": 2, "popularity_exponent": 0.0, "neighbours_of": whose}
        model = fit_retrieval(history, n_items=3, params=PARAMS.model_copy(update=update), seed=1)
        codes = SOURCES["item_item"](user_block(history.block(3, 4), model), model, 3).codes
        proposed[whose] = codes[0].tolist()
    assert proposed == {"met": [0, 1, NO_ITEM], "proposed": [0, 1, 2]}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sets(st.integers(0, 5), min_size=1).map(tuple), min_size=1, max_size=8))
def test_with_an_exponent_of_one_the_neighbours_of_an_item_share_one_vote(baskets: list[tuple[int, ...]]) -> None:
    history = met_together(*baskets)
    params = PARAMS.model_copy(update={"neighbours": 4})
    codes, scores = train_neighbours(history, n_items=6, params=params)
    same, shared = train_neighbours(history, n_items=6, params=params.model_copy(update={"neighbour_exponent": 1.0}))
    np.testing.assert_array_equal(codes, same)
    others = (codes != NO_ITEM) & (codes != np.arange(6)[:, None])
    assert (shared * others).sum(axis=1) == pytest.approx(others.any(axis=1).astype(float), rel=1e-5)
    alone = ~others.any(axis=1)
    np.testing.assert_array_equal(scores[alone], shared[alone])


@settings(max_examples=25, deadline=None)
@given(
    baskets=st.lists(st.sets(st.integers(0, 5), min_size=1).map(tuple), min_size=1, max_size=8),
    whose=st.sampled_from(["met", "proposed"]),
)
def test_centred_neighbours_say_how_much_more_than_usual_of_them_was_met(
    baskets: list[tuple[int, ...]], whose: str
) -> None:
    """The share of users of an item, and of each neighbour what it says times (met or not, less its own share)."""
    history = met_together(*baskets)
    options = {"neighbours": 4, "neighbours_of": whose, "neighbour_exponent": 1.0}
    plain, centred = (
        fit_retrieval(
            history, n_items=6, params=PARAMS.model_copy(update={**options, "neighbours_centred": is_so}), seed=1
        )
        for is_so in (False, True)
    )
    met = np.zeros((len(baskets), 6))
    for user, basket in enumerate(baskets):
        met[user, list(basket)] = 1
    near = np.zeros((6, 6))  # of what is proposed (row), by what was met
    for item, (codes, scores) in enumerate(zip(plain.neighbours, plain.neighbour_scores, strict=True)):
        for code, score in zip(codes[codes != NO_ITEM], scores, strict=False):
            near[(item, code) if whose == "proposed" else (code, item)] = score
    others = near * (1 - np.eye(6))
    told = met.mean(axis=0) + (met - met.mean(axis=0)) @ others.T + met * np.diag(near)
    scores = item_item_scores(history, centred).tocoo()
    np.testing.assert_allclose(scores.data, told[scores.row, scores.col], rtol=1e-4, atol=1e-5)
    assert scores.nnz == item_item_scores(history, plain).nnz


def test_a_segment_has_its_own_popular_list_and_a_small_one_everybodys(history: UserHistory) -> None:
    segment = np.where(history.user_ids % 2 == 1, 1, 0).astype(np.int16)
    segment[:2] = 2
    popular = fit_retrieval(
        history, n_items=N_ITEMS, params=PARAMS.model_copy(update={"popular": 8}), seed=1, segment=segment
    ).popular
    assert (popular[1] >= N_ITEMS // 2).all()
    np.testing.assert_array_equal(popular[2], popular[0])
    assert set(popular[0].tolist()) != set(popular[1].tolist())


def test_blending_adds_what_each_list_votes_for() -> None:
    left = Candidates(np.array([[3, 1, NO_ITEM]], np.int32), np.zeros((1, 3), np.float32))
    right = Candidates(np.array([[1, 2, NO_ITEM]], np.int32), np.zeros((1, 3), np.float32))
    mixed = blend([left, right], 4, rank_constant=10.0)
    assert mixed.codes.tolist() == [[1, 3, 2, NO_ITEM]]
    np.testing.assert_allclose(mixed.scores[0], [1 / 12 + 1 / 11, 1 / 11, 1 / 12, 0.0], rtol=1e-6)


def test_with_a_longer_history_what_it_says_outweighs_what_is_popular() -> None:
    own, popular = (Candidates(np.full((2, 1), code, np.int32), np.ones((2, 1), np.float32)) for code in (3, 5))
    nobody = Candidates(np.full((2, 1), NO_ITEM, np.int32), np.zeros((2, 1), np.float32))
    found = {"popular": popular, "repeat": own, "als": nobody, "item_item": own}
    mixed = fused(found, np.array([1, 4]), 2)
    assert mixed.codes.tolist() == [[5, 3], [3, 5]]


@pytest.mark.parametrize("source", SOURCES)
def test_the_weight_of_a_source_goes_from_one_length_to_the_next_without_a_jump(source: str) -> None:
    weights = weights_of(source, np.arange(200))
    assert weights[list(LENGTHS)] == pytest.approx(BY_LENGTH[source], rel=1e-6)
    assert weights[0] == weights[1] and (weights[LENGTHS[-1] :] == weights[-1]).all()
    steps = np.abs(np.diff(np.log(weights[1:])))
    assert (steps <= 0.4 * np.diff(np.log2(np.arange(1, 200))) + 1e-6).all()


def test_a_list_that_counts_nothing_puts_its_items_last() -> None:
    left, right = (Candidates(np.array([codes], np.int32), np.ones((1, 2), np.float32)) for codes in ([1, 2], [3, 4]))
    assert blend([left, right], 4, weights=np.array([[0.0, 1.0]], np.float32)).codes.tolist() == [[3, 4, 1, 2]]
