"""Rows of the product ranker, its training with subsampled negatives, and its files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_contracts.catalogue import LocalText, Product
from data_contracts.errors import InputError
from data_contracts.vocabulary import Channel, Family
from spark_jobs.ranking.boosting import BoosterParams, booster_bytes, uniform
from spark_jobs.ranking.calibration import auc, sigmoid
from spark_jobs.ranking.newest import is_in_first
from spark_jobs.ranking.product_training import cases, train_product_ranker
from spark_jobs.ranking.products import (
    LabelledUsers,
    ProductRanker,
    ProductScorer,
    judged_products,
    told_by,
    told_to_strangers,
)
from spark_jobs.ranking.rows import RowBuffer, product_table, row_layout
from tests.unit.scoring_samples import known

FEATURES = ("f_spend", "f_age", "f_views_sum_card", "f_views_sum_loan")
PAIRS = ("f_pair_viewed",)
QUICK = BoosterParams(rounds=40, depth=3, learning_rate=0.2)


def product(product_id: str, family: Family, value: float = 100.0) -> Product:
    name = LocalText(en=product_id, ru=product_id)
    return Product(product_id=product_id, family=family, name=name, value=value, channels=(Channel.MOBILE,))


PRODUCTS = (product("card-a", Family.CARD), product("loan-a", Family.LOAN, 900.0), product("card-b", Family.CARD))


def _users(count: int, seed: int) -> LabelledUsers:
    """Opening depends on the own family's views and on the pair signal; base rates differ by product."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, 4)).astype(np.float32)
    pairs = rng.normal(size=(count, 3, 1)).astype(np.float32)
    own = features[:, [2, 3, 2]]
    odds = 1.5 * own + pairs[:, :, 0] + np.array([-3.0, -4.0, -5.0])
    return LabelledUsers(
        user_ids=np.arange(count, dtype=np.int64),
        features=features,
        pairs=pairs,
        eligible=rng.random((count, 3)) < 0.8,
        labels=rng.random((count, 3)) < sigmoid(odds),
        products=product_table(PRODUCTS, known(-3.0, -4.0, -5.0)),
    )


@pytest.fixture(scope="module")
def ranker() -> ProductRanker:
    return _trained(negative_share=0.3)


def _trained(negative_share: float, windows: tuple[LabelledUsers, LabelledUsers] | None = None) -> ProductRanker:
    return train_product_ranker(
        *(windows or (_users(6000, 1), _users(6000, 2))),
        feature_names=FEATURES,
        pair_names=PAIRS,
        negative_share=negative_share,
        params=QUICK,
        seed=3,
        threads=2,
    )


def test_a_row_holds_the_users_features_its_own_family_the_pair_and_the_product() -> None:
    layout = row_layout(FEATURES, PAIRS)
    buffer = RowBuffer(layout, product_table(PRODUCTS, known(-1.0, -2.0, -3.0)), block=8)
    users = np.array([[10, 20, 30, 40]], np.float32)
    rows = buffer.product_rows(users, np.array([[[5], [6], [7]]], np.float32))
    named = dict(zip(layout.names, rows[0, 1], strict=True))
    assert (named["f_age"], named["f_spend"], named["f_family_views_sum"]) == (20, 10, 40)
    assert (named["f_pair_viewed"], named["product_is_loan"], named["product_prior_odds"]) == (6, 1, -2)
    assert rows[0, :, layout.names.index("f_family_views_sum")].tolist() == [30, 40, 30]


def test_what_was_between_a_user_and_a_new_product_is_unknown_until_they_met() -> None:
    layout = row_layout((), ("f_pair_holdings_complements", "f_pair_viewed"))
    table = replace(product_table(PRODUCTS, known(0.0, 0.0, 0.0)), is_new=np.array([False, True, False]))
    buffer = RowBuffer(layout, table, block=8)
    rows = buffer.product_rows(np.empty((2, 0), np.float32), np.array([[[2, 0]] * 3, [[2, 1]] * 3], np.float32))
    assert rows[0, 0, :2].tolist() == rows[0, 2, :2].tolist() == [2, 0]
    assert rows[0, 1, 0] == 2
    assert np.isnan(rows[0, 1, 1])
    assert rows[1, 1, :2].tolist() == [2, 1]


def test_a_new_product_is_told_as_often_as_others_are_opened_not_as_often_as_without_a_look_at_them() -> None:
    def viewed(seed: int) -> LabelledUsers:
        draws = np.random.default_rng(seed)
        pairs = (draws.random((3000, 3, 1)) < 0.2).astype(np.float32)
        labels = draws.random((3000, 3)) < np.where(pairs[:, :, 0] > 0, 0.3, 0.01)
        return replace(_users(3000, seed), pairs=pairs, labels=labels, eligible=np.ones((3000, 3), bool))

    ranker, unmet = _trained(0.3, (viewed(1), viewed(2))), viewed(3)
    unmet.pairs[:, 1] = 0
    launched = replace(unmet, products=replace(unmet.products, is_new=np.array([False, True, False])))
    assert told_by(ranker, unmet, FEATURES)[:, 1].mean() < 0.02
    assert 0.7 < told_by(ranker, launched, FEATURES)[:, 1].mean() / unmet.labels[:, 1].mean() < 1.3


def test_a_family_without_a_column_of_its_own_is_unknown_there() -> None:
    layout = row_layout(("f_views_sum_loan",), ())
    buffer = RowBuffer(layout, product_table(PRODUCTS, known(0.0, 0.0, 0.0)), block=1)
    rows = buffer.product_rows(np.array([[4.0]], np.float32), np.empty((1, 3, 0), np.float32))
    assert np.isnan(rows[0, 0, 0])
    assert rows[0, 1, 0] == 4


def test_all_positives_and_only_eligible_pairs_are_cases() -> None:
    users = _users(2000, 5)
    found = cases(users, row_layout(FEATURES, PAIRS), negative_share=0.2, seed=1)
    labels, families = found.labels, found.families
    eligible_positives = users.eligible & users.labels
    negatives = int((users.eligible & ~users.labels).sum())
    assert labels.sum() == eligible_positives.sum()
    assert len(labels) - labels.sum() == pytest.approx(0.2 * negatives, rel=0.15)
    assert len(families) == len(labels)


def test_a_sample_does_not_depend_on_order_or_company() -> None:
    users = np.arange(100, dtype=np.int64)
    alone = uniform(users[40:50, None], np.arange(3)[None, :], 9)
    assert np.array_equal(uniform(users[::-1, None], np.arange(3)[None, :], 9)[::-1][40:50], alone)
    assert not np.array_equal(uniform(users[40:50, None], np.arange(3)[None, :], 10), alone)


def test_probabilities_sum_to_what_is_opened_with_and_without_subsampled_negatives() -> None:
    fresh = _users(6000, 11)
    for share in (1.0, 0.2):
        scorer = ProductScorer(_trained(share), fresh.products, block=6000)
        expected = scorer.probabilities(fresh.features, fresh.pairs)[fresh.eligible].sum()
        assert expected == pytest.approx(fresh.labels[fresh.eligible].sum(), rel=0.12)


def test_the_ranker_learns_what_moves_openings(ranker: ProductRanker) -> None:
    users = _users(3000, 12)
    judged = judged_products(ranker, users, FEATURES)
    assert auc(judged.own.astype(np.float32), judged.fold.labels.astype(np.float32)) > 0.8


def test_two_rankers_are_asked_about_the_same_eligible_pairs(ranker: ProductRanker) -> None:
    users = _users(1500, 9)
    judged = judged_products(ranker, users, FEATURES, beside=ranker)
    assert judged.fold.labels.tolist() == users.labels[users.eligible].tolist()
    assert judged.fold.user_ids.tolist() == np.repeat(users.user_ids, users.eligible.sum(axis=1)).tolist()
    assert judged.beside is not None
    np.testing.assert_array_equal(judged.own, judged.beside)
    expected = told_to_strangers(ranker, users, FEATURES)
    assert sigmoid(judged.own) == pytest.approx(expected[users.eligible], rel=1e-3)
    turned = replace(users, features=users.features[:, ::-1])
    assert np.array_equal(judged_products(ranker, turned, FEATURES[::-1]).own, judged.own)


def test_nobody_is_asked_of_a_booster_that_has_learned_from_them(ranker: ProductRanker) -> None:
    def other(seed: int) -> LabelledUsers:
        users = _users(6000, seed)
        mine = is_in_first(users.user_ids)[:, None]
        return replace(users, labels=np.where(mine, np.roll(users.labels, 7, axis=0), users.labels))

    again = _trained(negative_share=0.3, windows=(other(1), other(2)))
    same = [booster_bytes(one) == booster_bytes(two) for one, two in zip(again.halves, ranker.halves, strict=True)]
    assert same == [True, False]  # the one that is asked about the first half, and the one that learned from it
    users, first = _users(500, 1), is_in_first(np.arange(500))
    told = told_to_strangers(replace(again, calibrator=ranker.calibrator), users, FEATURES)
    assert np.array_equal(told[first], told_to_strangers(ranker, users, FEATURES)[first])
    assert not np.array_equal(told[~first], told_to_strangers(ranker, users, FEATURES)[~first])


def test_a_ranker_that_is_only_to_score_is_read_without_its_halves_and_one_of_before_has_none(
    ranker: ProductRanker, tmp_path: Path
) -> None:
    ranker.save(str(tmp_path / "whole"))
    assert ProductRanker.load(str(tmp_path / "whole")).halves == ()
    judges = ProductRanker.load(str(tmp_path / "whole"), with_halves=True)
    users = _users(300, 4)
    told = told_to_strangers(ranker, users, FEATURES)
    assert np.array_equal(told_to_strangers(judges, users, FEATURES), told)
    replace(ranker, halves=()).save(str(tmp_path / "before"))
    before = ProductRanker.load(str(tmp_path / "before"), with_halves=True)
    assert np.array_equal(told_to_strangers(before, users, FEATURES), told_by(ranker, users, FEATURES))


def test_a_saved_ranker_scores_the_same_bits(ranker: ProductRanker, tmp_path: Path) -> None:
    ranker.save(str(tmp_path / "models"))
    loaded = ProductRanker.load(str(tmp_path / "models"))
    users = _users(50, 4)
    before = ProductScorer(ranker, users.products, 50).probabilities(users.features, users.pairs)
    after = ProductScorer(loaded, users.products, 50).probabilities(users.features, users.pairs)
    assert np.array_equal(before, after)
    assert loaded.facts == dict(ranker.facts)


def test_training_twice_gives_the_same_bytes(ranker: ProductRanker, tmp_path: Path) -> None:
    again = _trained(negative_share=0.3)
    assert again.save(str(tmp_path / "a")) == ranker.save(str(tmp_path / "b"))


def test_a_booster_that_is_not_its_documents_is_refused(ranker: ProductRanker, tmp_path: Path) -> None:
    ranker.save(str(tmp_path))
    (tmp_path / "booster.ubj").write_bytes(b"something else")
    with pytest.raises(InputError, match="not the booster"):
        ProductRanker.load(str(tmp_path))


def test_windows_without_openings_are_refused() -> None:
    users = _users(100, 1)
    barren = replace(users, labels=np.zeros_like(users.labels))
    with pytest.raises(InputError, match="nothing to learn"):
        train_product_ranker(
            barren,
            barren,
            feature_names=FEATURES,
            pair_names=PAIRS,
            negative_share=1.0,
            params=QUICK,
            seed=1,
            threads=1,
        )
