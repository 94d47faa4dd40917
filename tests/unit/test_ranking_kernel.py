"""The kernel: total order of keys, top-k, and lists that do not depend on the block a user is in."""

import numpy as np
import pytest
import xgboost as xgb
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spark_jobs.ranking.kernel import (
    TwoStageModel,
    TwoStageScorer,
    best_first,
    items_of,
    ordered_keys,
    scores_of,
    unsorted_top,
)

SCORES = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.integers(1, 30)),
    elements=st.floats(-(2.0**100), 2.0**100, width=32) | st.sampled_from([0.0, -0.0, 1.0]),
)


@given(scores=SCORES, k=st.integers(1, 35))
def test_the_best_are_in_order_of_score_then_item(scores: np.ndarray, k: int) -> None:
    items = np.arange(scores.shape[1], dtype=np.int64)
    best = best_first(ordered_keys(scores, items, np.empty(scores.shape, np.int64)), k)
    for row, listed in zip(scores, items_of(best), strict=True):
        assert listed.tolist() == sorted(items.tolist(), key=lambda item: (-row[item], item))[:k]


@given(scores=SCORES)
def test_score_and_item_are_read_back_from_a_key(scores: np.ndarray) -> None:
    items = np.arange(scores.shape[1], dtype=np.int64)
    keys = ordered_keys(scores, items, np.empty(scores.shape, np.int64))
    assert np.array_equal(scores_of(keys), scores)
    assert np.array_equal(items_of(keys), np.broadcast_to(items, scores.shape))


def test_an_unsorted_top_holds_the_same_items_as_a_sorted_one() -> None:
    scores = np.random.default_rng(1).standard_normal((50, 200)).astype(np.float32)
    items = np.arange(200, dtype=np.int64)
    top = unsorted_top(ordered_keys(scores, items, np.empty(scores.shape, np.int64)), 20)
    expected = np.argsort(-scores, axis=1)[:, :20]
    assert np.array_equal(np.sort(items_of(top), axis=1), np.sort(expected, axis=1))


@pytest.fixture(scope="module")
def model() -> TwoStageModel:
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((2000, 12)).astype(np.float32)
    labels = (rows[:, 0] + rows[:, 5] + rows[:, 10] > 0).astype(np.float32)
    booster = xgb.train({"objective": "binary:logistic", "nthread": 1}, xgb.DMatrix(rows, labels), 10)
    return TwoStageModel(
        item_vectors=rng.standard_normal((150, 8)).astype(np.float32),
        item_features=rng.standard_normal((150, 5)).astype(np.float32),
        booster=booster,
        candidates=40,
        k=10,
        user_features=5,
    )


def test_a_list_does_not_depend_on_the_block_a_user_is_in(model: TwoStageModel) -> None:
    rng = np.random.default_rng(3)
    vectors, features = rng.standard_normal((64, 8)).astype(np.float32), rng.standard_normal((64, 5)).astype(np.float32)
    together = TwoStageScorer(model, 64).top(vectors, features)
    scorer = TwoStageScorer(model, 64)
    for first in range(0, 64, 7):
        items, scores = scorer.top(vectors[first : first + 7], features[first : first + 7])
        assert np.array_equal(items, together[0][first : first + 7])
        assert np.array_equal(scores, together[1][first : first + 7])


def test_two_stages_agree_with_the_plain_definition(model: TwoStageModel) -> None:
    rng = np.random.default_rng(4)
    vector, features = rng.standard_normal((1, 8)).astype(np.float32), rng.standard_normal((1, 5)).astype(np.float32)
    scores = (vector @ model.item_vectors.T)[0]
    near = np.argsort(-scores)[: model.candidates]
    rows = [[*features[0], *model.item_features[item], scores[item], scores.max() - scores[item]] for item in near]
    predicted = model.booster.predict(xgb.DMatrix(np.array(rows, np.float32)), output_margin=True)
    best = sorted(zip(-predicted, near, strict=True))[: model.k]
    assert TwoStageScorer(model, 16).top(vector, features)[0][0].tolist() == [item for _, item in best]
