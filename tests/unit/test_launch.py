"""A product that is hidden: what is told of it without its past, beside what chance, its family and its past tell."""

from dataclasses import replace
from datetime import date
from typing import cast

import numpy as np
import pytest
from pyspark.sql import DataFrame

from data_contracts.errors import InputError
from data_contracts.vocabulary import Family
from spark_jobs.evaluation.launch import family_rates, launch_by_truth, launch_figures, launched, without_columns
from spark_jobs.evaluation.product_log import without_product
from spark_jobs.evaluation.rolling import SeenUsers, rolling_windows
from spark_jobs.features.silver import Silver
from spark_jobs.ranking.boosting import BoosterParams
from spark_jobs.ranking.products import LabelledUsers
from spark_jobs.ranking.rows import product_table
from tests.unit.scoring_samples import known, product

PRODUCTS = tuple(product(f"p{n}", Family.LOAN if n < 4 else Family.CARD, 100.0) for n in range(8))
WINDOWS = rolling_windows(date(2026, 3, 16), folds=1, horizon_days=7, gap_hours=12, timezone="Europe/Moscow")
FEATURES = ("f_holdings_tenure", "f_money_balance")
USERS, COUNT = 1500, 8
BOOSTER = BoosterParams(rounds=60, depth=3, learning_rate=0.2, column_share=1.0)


def seen(number: int, *, hides: bool) -> SeenUsers:
    """Eight products of two families: the rich open those of the first, each as often, the others of the second.

    Product 2, of the first, loses its labels where it is hidden; its prior is that of its family in any case.
    """
    draws = np.random.default_rng(number)
    is_rich = draws.random(USERS) < 0.5
    chosen = draws.integers(0, 4, USERS) + np.where(is_rich, 0, 4)
    labels = np.zeros((USERS, COUNT), bool)
    labels[np.arange(USERS), chosen] = draws.random(USERS) < 0.4
    if hides:
        labels[:, 2] = False
    table = product_table(PRODUCTS, known(*[-2.5] * COUNT))
    features = np.column_stack([np.zeros(USERS), is_rich + draws.normal(0, 0.1, USERS)]).astype(np.float32)
    pairs = np.zeros((USERS, COUNT, 0), np.float32)
    users = LabelledUsers(np.arange(USERS), features, pairs, np.ones((USERS, COUNT), bool), labels, table)
    held = np.zeros((USERS, COUNT), bool)
    return SeenUsers(WINDOWS[number], users, np.ones(USERS, np.int16), held, FEATURES, ())


KNOWN, HIDDEN = ([seen(number, hides=hides) for number in range(3)] for hides in (False, True))
LAUNCH = launched(KNOWN, HIDDEN, ["p2"], booster=BOOSTER, seed=1, threads=1)
FIGURES = launch_figures(LAUNCH, 2, k=3)


def test_a_hidden_product_is_found_by_its_family_and_by_whom_its_family_suits() -> None:
    assert FIGURES["chance"]["recall@3"].value == pytest.approx(3 / COUNT)
    assert FIGURES["chance"]["ndcg@3"].value == pytest.approx(sum(1 / np.log2(place + 2) for place in range(3)) / COUNT)
    assert FIGURES["launched-chance"]["recall@3"].low > 0.1
    assert FIGURES["launched"]["auc"].low > 0.7
    assert abs(FIGURES["launched-knew"]["recall@3"].value) < 0.6


def test_figures_are_of_who_opened_it_and_its_probabilities_of_all_who_may_have_it() -> None:
    openers = int(KNOWN[0].users.labels[:, 2].sum())
    assert FIGURES["launched"]["ndcg@3"].users == openers > 50
    assert FIGURES["launched"]["predicted_over_observed"].users == USERS
    assert 0.5 < FIGURES["launched"]["predicted_over_observed"].value < 2.0


def test_by_the_truth_every_user_counts_as_likely_as_they_are_to_open_it() -> None:
    drawn = launch_by_truth(LAUNCH, KNOWN[0].users.labels.astype(np.float64), k=3)
    for model in ("launched", "knew", "family", "chance", "launched-chance"):
        assert drawn[model]["recall@3"] == FIGURES[model]["recall@3"]
    likely = launch_by_truth(LAUNCH, LAUNCH.told["knew"].astype(np.float64), k=3)
    assert likely["knew"]["predicted_over_true"].value == pytest.approx(1.0)
    assert likely["launched"]["predicted_over_true"].users == USERS
    assert likely["knew"]["recall@3"].value > likely["chance"]["recall@3"].value == pytest.approx(3 / COUNT)


def test_nothing_that_was_opened_of_it_reaches_the_ranker_that_must_not_know_it() -> None:
    shuffled = [
        replace(one, users=replace(one.users, labels=np.roll(one.users.labels, (number > 0) * 1, axis=0)))
        for number, one in enumerate(KNOWN)
    ]
    again = launch_figures(launched(shuffled, HIDDEN, ["p2"], booster=BOOSTER, seed=1, threads=1), 2, k=3)
    assert again["launched"]["ndcg@3"] == FIGURES["launched"]["ndcg@3"]
    assert again["knew"]["auc"] != FIGURES["knew"]["auc"]


def test_a_product_is_taken_out_of_all_that_is_learned_from() -> None:
    rest = without_columns(KNOWN[1].users, [2])
    assert rest.products.ids == tuple(f"p{n}" for n in range(COUNT) if n != 2)
    assert rest.labels.shape == rest.eligible.shape == rest.pairs.shape[:2] == (USERS, COUNT - 1)
    assert np.array_equal(rest.labels[:, 2], KNOWN[1].users.labels[:, 3])


def test_the_familys_rate_is_the_mean_of_what_else_it_sells() -> None:
    rates = family_rates(KNOWN[1:3], KNOWN[0], [2])
    assert rates[:, 2] == pytest.approx(rates[:, [0, 1, 3]].mean(axis=1))


def test_a_product_that_the_catalogue_lacks_is_refused_before_features_are_made() -> None:
    nothing = cast("DataFrame", None)
    silver = Silver(*(nothing,) * 8, products=PRODUCTS, categories={})
    with pytest.raises(InputError, match="no product p9 in the catalogue; there are p0, p1"):
        without_product(silver, "p9")


def test_a_product_that_nobody_opened_or_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="no product p9"):
        launched(KNOWN, HIDDEN, ["p9"], booster=BOOSTER, seed=1, threads=1)
    with pytest.raises(InputError, match="nobody opened p2"):
        launch_figures(replace(LAUNCH, users=HIDDEN[0].users), 2, k=3)
