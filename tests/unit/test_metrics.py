"""Metrics against their definitions, spelled out naively; intervals against what they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score, precision_score, recall_score

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


def test_graded_gains_agree_with_scikit_learn_and_an_ideal_list_has_1() -> None:
    draws = np.random.default_rng(3)
    gains, scores = draws.random((20, N_ITEMS)), draws.random((20, N_ITEMS))
    codes = np.argsort(-scores, axis=1)[:, :5].astype(np.int32)
    found = graded_ndcg(gains, codes)
    expected = [ndcg_score(gains[user : user + 1], scores[user : user + 1], k=5) for user in range(20)]
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(graded_ndcg(gains, np.argsort(-gains, axis=1)[:, :5].astype(np.int32)), 1.0)
    assert np.isnan(graded_ndcg(np.zeros((1, 3)), np.array([[0]], np.int32))[0])
    assert graded_ndcg(np.array([[1.0, 0.0]]), np.array([[1, 0, -1]], np.int32))[0] == pytest.approx(1 / np.log2(3))


def test_precision_and_recall_agree_with_scikit_learn() -> None:
    draws = np.random.default_rng(4)
    wanted = draws.random(N_ITEMS) < 0.5
    listed = draws.permutation(N_ITEMS)[:5].astype(np.int32)
    chosen = np.isin(np.arange(N_ITEMS), listed)
    relevant = Relevant.of(np.zeros(wanted.sum(), np.int64), np.flatnonzero(wanted), n_users=1, n_items=N_ITEMS)
    hits = relevant.hits(listed[None, :])
    assert METRICS["precision"](hits, relevant.sizes)[0] == pytest.approx(precision_score(wanted, chosen))
    assert METRICS["recall"](hits, relevant.sizes)[0] == pytest.approx(recall_score(wanted, chosen))


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
