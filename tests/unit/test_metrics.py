"""Metrics against their definitions, spelled out naively, and against scikit-learn and implicit; intervals against what
they promise.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from implicit.evaluation import ranking_metrics_at_k
from scipy.sparse import csr_matrix
from sklearn.metrics import (
    average_precision_score,
    ndcg_score,
    precision_score,
    recall_score,
    top_k_accuracy_score,
)

from spark_jobs.evaluation.intervals import bootstrap
from spark_jobs.evaluation.metrics import METRICS, Relevant, coverage, graded_ndcg, novelty

N_ITEMS = 12


def naive(metric: str, ranked: list[int], relevant: set[int], k: int) -> float:
    hits = [item in relevant for item in ranked]
    if metric == "recall":
        return sum(hits) / len(relevant)
    if metric == "precision":
        return sum(hits) / k
    if metric == "simulated_ctr":
        return sum(1 / (place + 1) for place, hit in enumerate(hits) if hit) / k
    if metric == "hit_rate":
        return float(any(hits))
    if metric == "ndcg":
        gain = sum(1 / np.log2(place + 2) for place, hit in enumerate(hits) if hit)
        return float(gain / sum(1 / np.log2(place + 2) for place in range(min(len(relevant), k))))
    precision = [sum(hits[: place + 1]) / (place + 1) for place, hit in enumerate(hits) if hit]
    return sum(precision) / min(len(relevant), k)


lists = st.lists(st.integers(0, N_ITEMS - 1), unique=True, max_size=6)
users = st.lists(st.tuples(lists, st.sets(st.integers(0, N_ITEMS - 1), max_size=8)), min_size=1, max_size=6)


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=60, deadline=None)
@given(cases=users)
def test_a_metric_is_its_definition(metric: str, cases: list[tuple[list[int], set[int]]]) -> None:
    k = 6
    codes = np.full((len(cases), k), -1, np.int32)
    for row, (ranked, _) in enumerate(cases):
        codes[row, : len(ranked)] = ranked
    pairs = [(row, item) for row, (_, items) in enumerate(cases) for item in items]
    rows, items = (np.array([pair[n] for pair in pairs], np.int64) for n in (0, 1))
    relevant = Relevant.of(rows, items, n_users=len(cases), n_items=N_ITEMS)
    found = METRICS[metric](relevant.hits(codes), relevant.sizes)
    for value, (ranked, wanted) in zip(found, cases, strict=True):
        if wanted:
            assert value == pytest.approx(naive(metric, ranked, wanted, k))
        else:
            assert np.isnan(value)


def test_ndcg_of_a_known_example() -> None:
    """Two relevant items at places 1 and 3 of three: (1 + 1/2) / (1 + 1/log2(3))."""
    relevant = Relevant.of(np.array([0, 0]), np.array([4, 6]), n_users=1, n_items=N_ITEMS)
    value = METRICS["ndcg"](relevant.hits(np.array([[4, 5, 6]], np.int32)), relevant.sizes)
    assert value[0] == pytest.approx(1.5 / (1 + 1 / np.log2(3)))


def met_and_scored(seed: int, *, users: int = 20) -> tuple[np.ndarray, np.ndarray, Relevant]:
    """Scores [users, N_ITEMS], which items are met (some, never all; bool), and the same as `Relevant`."""
    draws = np.random.default_rng(seed)
    scores = draws.permuted(np.tile(np.arange(N_ITEMS, dtype=float), (users, 1)), axis=1)
    is_met = draws.permuted(np.arange(N_ITEMS) < draws.integers(1, N_ITEMS, (users, 1)), axis=1)
    return scores, is_met, Relevant.of(*np.nonzero(is_met), n_users=users, n_items=N_ITEMS)


def best(scores: np.ndarray, k: int) -> np.ndarray:
    return np.argsort(-scores, axis=1)[:, :k].astype(np.int32)


class Scored:
    """What `implicit.evaluation` asks of a model, of known scores."""

    def __init__(self, scores: np.ndarray) -> None:
        self.scores = scores

    def recommend(self, userid: np.ndarray, *_: object, N: int = 10, **__: object) -> tuple[np.ndarray, np.ndarray]:  # noqa: N803 - its name
        codes = best(self.scores[userid], N)
        return codes, np.take_along_axis(self.scores[userid], codes, axis=1)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, N_ITEMS))
def test_map_and_ndcg_agree_with_implicit(seed: int, k: int) -> None:
    scores, is_met, relevant = met_and_scored(seed)
    nothing = csr_matrix(is_met.shape, dtype=np.float32)
    published = ranking_metrics_at_k(
        Scored(scores), nothing, csr_matrix(is_met, dtype=np.float32), K=k, show_progress=False, num_threads=1
    )
    hits = relevant.hits(best(scores, k))
    assert METRICS["map"](hits, relevant.sizes).mean() == pytest.approx(published["map"])
    assert METRICS["ndcg"](hits, relevant.sizes).mean() == pytest.approx(published["ndcg"])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(2, N_ITEMS))
def test_metrics_of_lists_agree_with_scikit_learn(seed: int, k: int) -> None:
    scores, is_met, relevant = met_and_scored(seed, users=5)
    codes = best(scores, k)
    hits, whole = relevant.hits(codes), relevant.hits(best(scores, N_ITEMS))
    found = {name: measure(hits, relevant.sizes) for name, measure in METRICS.items()}
    whole_lists = METRICS["map"](whole, relevant.sizes)
    for user, (wanted, score) in enumerate(zip(is_met, scores, strict=True)):
        listed = np.isin(np.arange(N_ITEMS), codes[user])
        assert found["precision"][user] == pytest.approx(precision_score(wanted, listed))
        assert found["recall"][user] == pytest.approx(recall_score(wanted, listed))
        assert found["ndcg"][user] == pytest.approx(ndcg_score([wanted], [score], k=k))
        assert whole_lists[user] == pytest.approx(average_precision_score(wanted, score))
        one = np.flatnonzero(wanted)[:1]
        alone = Relevant.of(np.zeros(1, np.int64), one, n_users=1, n_items=N_ITEMS)
        hit = METRICS["hit_rate"](alone.hits(codes[user : user + 1]), alone.sizes)
        if k < N_ITEMS:
            assert hit == top_k_accuracy_score(one, [score], k=k, labels=np.arange(N_ITEMS))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(2, N_ITEMS))
def test_graded_gains_agree_with_scikit_learn_and_an_ideal_list_has_1(seed: int, k: int) -> None:
    gains, (scores, *_) = np.random.default_rng(seed).random((20, N_ITEMS)), met_and_scored(seed)
    expected = [ndcg_score([gains[user]], [scores[user]], k=k) for user in range(20)]
    np.testing.assert_allclose(graded_ndcg(gains, best(scores, k)), expected)
    np.testing.assert_allclose(graded_ndcg(gains, best(gains, k)), 1.0)


def test_nothing_is_gained_where_nothing_can_be_and_by_an_empty_place() -> None:
    assert np.isnan(graded_ndcg(np.zeros((1, 3)), np.array([[0]], np.int32))[0])
    assert graded_ndcg(np.array([[1.0, 0.0]]), np.array([[1, 0, -1]], np.int32))[0] == pytest.approx(1 / np.log2(3))


@settings(max_examples=50, deadline=None)
@given(
    cases=st.lists(lists, min_size=1, max_size=6),
    share=st.lists(st.floats(0.001, 1.0), min_size=N_ITEMS, max_size=N_ITEMS),
)
def test_novelty_and_coverage_are_their_definitions(cases: list[list[int]], share: list[float]) -> None:
    codes = np.full((len(cases), 6), -1, np.int32)
    for row, ranked in enumerate(cases):
        codes[row, : len(ranked)] = ranked
    surprise = [sum(-math.log2(share[item]) for item in ranked) / max(len(ranked), 1) for ranked in cases]
    assert novelty(codes, np.array(share)) == pytest.approx(surprise)
    assert coverage(codes, n_items=N_ITEMS) == pytest.approx(len({item for one in cases for item in one}) / N_ITEMS)


def test_novelty_is_the_surprise_in_bits_of_what_few_have_met() -> None:
    found = novelty(np.array([[0, 1], [1, -1], [-1, -1]], np.int32), np.array([0.5, 0.125]))
    np.testing.assert_allclose(found, [2.0, 3.0, 0.0])


def test_coverage_counts_distinct_items_on_anybodys_list() -> None:
    assert coverage(np.array([[0, 1, -1], [1, 2, -1]], np.int32), n_items=6) == 0.5


def test_an_interval_holds_its_mean_and_narrows_with_users() -> None:
    draws = np.random.default_rng(1)
    few, many = (bootstrap(draws.normal(1, 1, (n, 1)), seed=2)[0] for n in (50, 5000))
    assert few.low < few.value < few.high
    assert many.high - many.low < (few.high - few.low) / 5
    assert many.high - many.low == pytest.approx(4 * 1.96 / 2 / np.sqrt(5000), rel=0.2)


def test_a_paired_interval_is_narrower_than_two_apart() -> None:
    draws = np.random.default_rng(1)
    common = draws.normal(0, 1, 1000)
    left, right = common + draws.normal(0.1, 0.1, 1000), common
    apart, _, paired = bootstrap(np.stack([left, right, left - right], axis=1), seed=2)
    assert paired.low > 0
    assert (paired.high - paired.low) * 3 < apart.high - apart.low


def test_the_same_seed_gives_the_same_interval_and_nobody_has_none() -> None:
    values = np.random.default_rng(1).random((80, 2))
    assert bootstrap(values, seed=4) == bootstrap(values, seed=4)
    nobody = bootstrap(np.empty((0, 1)), seed=4)[0]
    assert nobody.users == 0
    assert np.isnan(nobody.value)
