"""Product lists of blocks: order, policy, scores, reasons, worth; and the fallback lists made from worth."""

import numpy as np
import pyarrow as pa
import pytest

from data_contracts.columns import PRODUCT_ITEMS, PRODUCT_REASONS, PRODUCT_SCORES, USER_ID
from data_contracts.scores import dequantise
from spark_jobs.candidates.base import RetrievalModel
from spark_jobs.candidates.params import RetrievalParams
from spark_jobs.ranking.kernel import margins
from spark_jobs.ranking.products import ProductScorer
from spark_jobs.ranking.user_blocks import user_arrays
from spark_jobs.scoring.fallback import fallback_table, popular_offers, popular_products
from spark_jobs.scoring.lists import Ranked
from spark_jobs.scoring.product_lists import PROBABILITY_UNIT
from spark_jobs.scoring.reasons import ReasonCoder, popular_code, two_codes
from spark_jobs.scoring.stage import ProductModels, StageModels, Worth, WorthSum, score_batches
from tests.unit.scoring_samples import (
    CATALOGUE,
    FEATURES,
    PAIRS,
    POLICY,
    PRODUCTS,
    REASONS,
    product_models,
    users_table,
)


@pytest.fixture(scope="module")
def models() -> ProductModels:
    return product_models()


def _score(users: pa.Table, models: ProductModels, batch: int) -> tuple[pa.Table, Worth]:
    summed = [Worth.nothing(0, len(PRODUCTS.values))]
    add = WorthSum().addInPlace
    batches = users.to_batches(max_chunksize=batch)
    lists = list(score_batches(batches, StageModels(models), lambda more: summed.append(add(summed[-1], more))))
    return pa.Table.from_batches(lists), summed[-1]


def test_products_are_ordered_by_probability_times_value(models: ProductModels) -> None:
    lists, _ = _score(users_table(200), models, 200)
    for row in lists.to_pylist():
        worth = dequantise(row[PRODUCT_SCORES]) * PRODUCTS.values[row[PRODUCT_ITEMS]]
        assert (np.diff(worth) <= 1e-3 * worth[:-1]).all()


def test_what_the_policy_forbids_is_on_no_list(models: ProductModels) -> None:
    users = users_table(200)
    lists, _ = _score(users, models, 200)
    for user, row in zip(users.to_pylist(), lists.to_pylist(), strict=True):
        listed = {CATALOGUE.products[item].product_id for item in row[PRODUCT_ITEMS]}
        assert "loan_old" not in listed
        assert not (user["holdings"] and "card_a" in listed)
        assert not (user["score_band"] > 3 and "loan_a" in listed)
    assert lists[USER_ID].to_pylist() == users[USER_ID].to_pylist()


def test_lists_and_worth_do_not_depend_on_how_users_are_cut_into_batches(models: ProductModels) -> None:
    whole, worth = _score(users_table(500), models, 500)
    pieces, same_worth = _score(users_table(500), models, 7)
    assert whole.equals(pieces.combine_chunks()) or whole.to_pylist() == pieces.to_pylist()
    assert np.array_equal(worth.worth, same_worth.worth)
    assert worth.users.tolist() == [167, 167, 166]


def test_a_listed_score_is_the_calibrated_probability(models: ProductModels) -> None:
    users = users_table(20)
    lists, _ = _score(users, models, 20)
    arrays = user_arrays(users, feature_names=FEATURES, pair_names=PAIRS, products=PRODUCTS.ids)
    expected = ProductScorer(models.ranker, PRODUCTS, 20).probabilities(arrays.features, arrays.pairs)
    for number, row in enumerate(lists.to_pylist()):
        assert dequantise(row[PRODUCT_SCORES]) == pytest.approx(expected[number, row[PRODUCT_ITEMS]], rel=1e-3)


def test_pair_signals_reach_the_rows_of_their_products_only() -> None:
    arrays = user_arrays(users_table(5), feature_names=FEATURES, pair_names=PAIRS, products=PRODUCTS.ids)
    assert arrays.pairs[0, :, 0].tolist() == [0, 1, 0, 2, 0]
    assert not arrays.pairs[1:4].any()
    assert arrays.pairs[4, 3, 0] == 2


def test_reasons_are_codes_of_the_document_and_most_items_have_one(models: ProductModels) -> None:
    lists, _ = _score(users_table(200), models, 200)
    reasons = np.concatenate(lists[PRODUCT_REASONS].to_pylist())
    assert {*(reasons & 255), *(reasons >> 8)} <= {0, 1, 2, 3}
    assert (reasons > 0).mean() > 0.5


def test_the_longest_prefix_names_the_reason_and_own_family_comes_before_its_area() -> None:
    coder = ReasonCoder(
        REASONS, ["f_telemetry_spend", "f_family_telemetry_views", "f_pair_telemetry_x", "product_value"]
    )
    assert [np.flatnonzero(row).tolist() for row in coder._sums] == [[1], [2], [1], []]


def test_two_codes_take_the_strongest_positive_reasons_only() -> None:
    moved = np.array([[0, 0.5, 0.9, -1], [0, -0.5, 0.1, -1], [0, -1, -1, -1], [0, 1, 1, 1]], np.float32)
    codes = two_codes(moved, np.array([0, 11, 12, 13], np.uint16))
    assert [(code & 255, code >> 8) for code in codes.tolist()] == [(12, 11), (12, 0), (0, 0), (11, 12)]


def test_the_popular_reason_is_found_by_its_name() -> None:
    assert popular_code(REASONS) == 9


def test_a_segments_list_is_ordered_by_rate_times_value_and_everybodys_by_mean_probability_and_sold_only() -> None:
    unit = 1 / PROBABILITY_UNIT
    worth = Worth(
        np.array([0, 2]), np.array([[0] * 5, [0.2 * unit, 0.2 * unit, 0, 0.02 * unit, unit]]).astype(np.int64)
    )
    rates = np.array([[1.0] * 5, [0.4, 0.1, 0.0, 0.01, 1.0]])
    ranked = popular_products(worth, rates=rates, values=PRODUCTS.values, policy=POLICY)
    assert ranked[1].items.tolist() == [0, 1, 3, 2]
    assert dequantise(ranked[1].scores)[0] == pytest.approx(0.4, rel=1e-3)
    assert ranked[None].items.tolist() == [1, 0, 3, 2]
    assert dequantise(ranked[None].scores)[0] == pytest.approx(0.1, rel=1e-3)
    assert set(ranked) == {1, None}


def test_a_segment_without_offers_of_its_own_takes_everybodys() -> None:
    best = Ranked(np.array([7, 8], np.int32), np.array([9, 5], np.uint16))
    other = Ranked(np.array([1], np.int32), np.array([3], np.uint16))
    table = fallback_table({1: other, None: other}, {None: best}, reason=9)
    rows = table.to_pylist()
    assert [(row["tier"], row["segment"]) for row in rows] == [("segment", 1), ("popular", 0)]
    assert rows[0]["offer_items"] == [7, 8]
    assert rows[0]["offer_reasons"] == [9, 9]


def test_without_any_items_there_is_still_a_popular_row() -> None:
    assert fallback_table({}, {}, reason=0).to_pylist()[0]["product_items"] == []


def popular_model() -> RetrievalModel:
    return RetrievalModel(
        params=RetrievalParams(popular_half_life=6.0),
        item_factors=np.zeros((4, 2), np.float32),
        offered_factors=np.zeros((4, 2), np.float32),
        segment_vectors=np.zeros((1, 2), np.float32),
        neighbours=np.zeros((4, 1), np.int32),
        neighbour_scores=np.zeros((4, 1), np.float32),
        popular=np.array([[2, 0, -1], [1, 2, 0], [2, 0, -1]], np.int32),
        popular_scores=np.array([[40, 10, 0], [30, 10, 5], [40, 10, 0]], np.float32),
    )


def ranked_offers(*blocked: int) -> dict[int | None, Ranked]:
    return popular_offers(
        popular_model(),
        users={0: 50, 1: 100, 2: 50},
        most_sampled=1000,
        horizon_hours=6 / np.log(2),
        first_code=5,
        blocked=np.isin(np.arange(4), blocked),
    )


def test_popular_offers_are_scored_by_their_rate_in_the_segment_or_in_all() -> None:
    ranked = ranked_offers()
    assert ranked[1].items.tolist() == [6, 7, 5]
    assert dequantise(ranked[1].scores)[0] == pytest.approx(1 - np.exp(-30 / 100), rel=1e-3)
    for everybodys in (ranked[0], ranked[2], ranked[None]):
        assert everybodys.items.tolist() == [7, 5]
        assert dequantise(everybodys.scores)[0] == pytest.approx(1 - np.exp(-40 / 200), rel=1e-3)


def test_a_blocked_offer_is_popular_with_nobody() -> None:
    assert {segment: one.items.tolist() for segment, one in ranked_offers(2).items()} == {
        None: [5],
        0: [5],
        1: [6, 5],
        2: [5],
    }


def test_a_few_reasons_a_block_are_worked_out_exactly_and_mostly_agree(models: ProductModels) -> None:
    _, worth = _score(users_table(500), models, 50)
    assert worth.agreement.compared == 10 * 8
    assert 0.7 * worth.agreement.compared <= worth.agreement.agreeing <= worth.agreement.compared


@pytest.mark.parametrize(("code", "prefixes"), [(2, ("f_family_",)), (1, ("f_telemetry_", "f_pair_telemetry_"))])
def test_without_its_named_cause_an_items_score_falls(
    models: ProductModels, code: int, prefixes: tuple[str, ...]
) -> None:
    names, booster = models.ranker.layout.names, models.ranker.booster
    rows = np.random.default_rng(4).normal(size=(400, len(names))).astype(np.float32)
    told = (ReasonCoder(REASONS, names).codes(booster, rows) & 0xFF) == code
    without, causes = rows.copy(), [number for number, name in enumerate(names) if name.startswith(prefixes)]
    without[:, causes] = 0.0  # what everybody is like on average
    fall = margins(booster, rows) - margins(booster, without)
    assert told.sum() >= 20
    assert fall[told].mean() > 0.1
    assert fall[told].mean() > fall[~told].mean()


def test_what_moves_a_score_beside_the_trees_is_a_reason_too(models: ProductModels) -> None:
    names, booster = models.ranker.layout.names, models.ranker.booster
    rows = np.random.default_rng(4).normal(size=(50, len(names))).astype(np.float32)
    column = next(number for number, name in enumerate(names) if name.startswith("f_family_"))
    coder = ReasonCoder(REASONS, names)
    up, down = (coder.codes(booster, rows, beside={column: np.full(50, by, np.float32)}) for by in (9.0, -9.0))
    assert (up & 0xFF == 2).all()
    assert not (down & 0xFF == 2).any()
    assert not (down >> 8 == 2).any()
