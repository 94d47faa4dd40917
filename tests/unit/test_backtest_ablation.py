"""What a domain adds: found where it says something about the others, and nothing where it does not."""

import numpy as np
import pytest
from typer.testing import CliRunner

from data_contracts.vocabulary import Domain
from infra.cli import app
from spark_jobs.candidates.params import RetrievalParams
from spark_jobs.evaluation.ablation import ProductCases, ablate_offers, ablate_products, without_domain
from spark_jobs.evaluation.backtest import tecd_params
from spark_jobs.evaluation.tecd_log import OfferLog
from spark_jobs.features.item_features import ItemAttributes
from spark_jobs.ranking.boosting import BoosterParams
from spark_jobs.ranking.offers import OfferParams
from spark_jobs.ranking.products import LabelledUsers
from spark_jobs.ranking.rows import ProductTable, product_feature_names
from tests.unit.offer_events import N_ITEMS, offer_events

BOOSTER = BoosterParams(rounds=20, depth=3)
FEATURES = ("f_retail_view_7d", "f_retail_view_7d_card", "f_telemetry_view_7d", "f_money_balance")
PAIRS = ("f_pair_product_applied_30d", "f_pair_telemetry_views_7d")
PRODUCTS = 6


def shops() -> OfferLog:
    """Even items are marketplace's, odd ones retail's. Most users were met in the marketplace only, until the test."""
    events = offer_events(users=80)
    is_retail = events.item_code % 2 == 1
    is_told = ~is_retail | (events.user_id % 4 == 0) | (events.time >= tecd_params(test_day=3).cut)
    ids = np.array([f"i{code:02}" for code in range(N_ITEMS)])
    item_domain = (np.arange(N_ITEMS) % 2).astype(np.int8)
    return OfferLog(
        events.take(is_told), ids, N_ITEMS, attributes=ItemAttributes.unknown(N_ITEMS), item_domain=item_domain
    )


def test_a_domain_that_tells_the_taste_for_another_adds_to_it() -> None:
    params = tecd_params(
        test_day=3,
        k=5,
        retrieval=RetrievalParams(als_factors=8, als_regularization=1.0, als_min_users=1, popular=30),
        offers=OfferParams(
            candidates={"repeat": 20, "item_item": 20, "als": 10, "popular": 9}, booster=BOOSTER, models=1
        ),
    )
    found = {
        (one.domain, one.model): one
        for one in ablate_offers(shops(), params, domains=[Domain.MARKETPLACE, Domain.RETAIL])
    }
    told = found[Domain.MARKETPLACE, "offers itemcf"]
    assert told.adds.low > 0.1
    assert told.adds.value == pytest.approx(told.whole.value - told.without.value)
    for model in ("offers als", "offers itemcf"):
        assert found[Domain.MARKETPLACE, model].adds.value > found[Domain.RETAIL, model].adds.value
    assert len(found) == 8


def users(seed: int) -> LabelledUsers:
    """Who looks around in retail opens product 0, who does not product 1; nothing else says anything."""
    draws, n = np.random.default_rng(seed), 600
    features = draws.normal(size=(n, len(FEATURES))).astype(np.float32)
    labels = np.zeros((n, PRODUCTS), bool)
    labels[:, 0], labels[:, 1] = features[:, 0] > 0.5, features[:, 0] < -0.5
    table = ProductTable(
        ids=tuple(f"p{n}" for n in range(PRODUCTS)),
        families=np.zeros(PRODUCTS, np.int64),
        values=np.ones(PRODUCTS, np.float32),
        features=np.tile(np.arange(PRODUCTS, dtype=np.float32)[:, None], len(product_feature_names())),
        is_new=np.zeros(PRODUCTS, bool),
    )
    return LabelledUsers(
        user_ids=np.arange(n, dtype=np.int64) + seed * n,
        features=features,
        pairs=draws.normal(size=(n, PRODUCTS, len(PAIRS))).astype(np.float32),
        eligible=np.ones((n, PRODUCTS), bool),
        labels=labels,
        products=table,
    )


CASES = ProductCases(users(1), users(2), FEATURES, PAIRS)


def test_the_domain_that_decides_what_is_opened_adds_and_another_does_not() -> None:
    found = {one.domain: one for one in ablate_products(CASES, k=3, booster=BOOSTER, seed=1, threads=1)}
    assert set(found) == {Domain.RETAIL, Domain.TELEMETRY}
    assert found[Domain.RETAIL].adds.low > 0.1
    assert abs(found[Domain.TELEMETRY].adds.value) < 0.05
    assert 300 < found[Domain.RETAIL].adds.users < 450


def test_leaving_out_a_domain_leaves_out_its_features_and_its_signals_and_no_others() -> None:
    less = without_domain(CASES, Domain.TELEMETRY)
    assert less.feature_names == (FEATURES[0], FEATURES[1], FEATURES[3])
    assert less.pair_names == PAIRS[:1]
    np.testing.assert_array_equal(less.test.features, CASES.test.features[:, [0, 1, 3]])
    np.testing.assert_array_equal(less.train.pairs, CASES.train.pairs[:, :, :1])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "give --tecd and --test-day"),
        (["--tecd", "x", "--test-day", "3", "--offer-domains", "retail"], "give several --offer-domains"),
    ],
)
def test_the_command_says_what_it_needs(arguments: list[str], told: str) -> None:
    result = CliRunner().invoke(app, ["backtest", "--ablate", "domains", *arguments])
    assert told in str(result.exception)
