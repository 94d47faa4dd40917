"""Cases of the product ranker from silver: who is trained on, which openings are labels, and nothing of the future."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from data_contracts.tables import contract
from spark_jobs.features.base import Moment
from spark_jobs.features.silver import Silver
from spark_jobs.lake.tables import empty_table
from spark_jobs.ranking.product_cases import CaseParams, labelled_users, product_priors, sample
from spark_jobs.ranking.products import Cases
from spark_jobs.ranking.uplift_cases import contacted, has_controls
from spark_jobs.ranking.windows import LabelWindow, training_windows
from tests.spark.feature_samples import features_at
from tests.unit.scoring_samples import CATALOGUE, RULES

AS_OF = date(2026, 3, 16)
ZONE = ZoneInfo("Europe/Moscow")
NOW = Moment(AS_OF, datetime(2026, 3, 16, tzinfo=ZONE))
WINDOW = training_windows(AS_OF, horizon_days=7, gap_hours=12, timezone="Europe/Moscow").train
CARD_A, CARD_B, DEPOSIT, LOAN = 0, 1, 2, 3


def _table(spark: SparkSession, name: str, rows: list[dict[str, object]]) -> DataFrame:
    columns = contract(name).column_names
    return spark.createDataFrame([tuple(row.get(column) for column in columns) for row in rows], contract(name).ddl)


def _customer(user_id: int, valid_from: date, **more: object) -> dict[str, object]:
    known = {"birth_year": 1980, "score_band": 2, "consent_profiling": True}
    consents = {"consent_mobile": True, "consent_web": True, "consent_crm": True}
    return {"user_id": user_id, "valid_from": valid_from, **consents, **known, **more}


def _opening(number: int, user_id: int, product_id: str, time: datetime) -> dict[str, object]:
    return {
        "event_id": str(number),
        "user_id": user_id,
        "product_id": product_id,
        "event_type": "opened",
        "event_time": time.astimezone(UTC),
        "day": time.astimezone(ZONE).date(),
    }


def _contacts() -> list[dict[str, object]]:
    """One of who refuses profiling now, one of who did then, one too early and one too late."""
    at, hour = WINDOW.start, timedelta(hours=1)
    told = [
        (1, "card_a", "held_out", at - hour),
        (1, "card_b", "shown", at),
        (2, "card_b", "shown", at),
        (3, "deposit_a", "held_out", at + hour),
        (3, "deposit_a", "shown", at + 2 * hour),
        (4, "card_a", "shown", at),
        (4, "card_a", "clicked", at - hour / 2),
        (5, "card_b", "held_out", at),
        (6, "card_b", "shown", WINDOW.end),
    ]
    return [
        {**_opening(1_000 + number, user, product, time), "event_type": kind, "campaign_id": "c", "channel": "web"}
        for number, (user, product, kind, time) in enumerate(told)
    ]


def _silver(spark: SparkSession, later: list[dict[str, object]]) -> Silver:
    before, after = WINDOW.as_of - timedelta(days=3), AS_OF
    customers = [
        *(_customer(user, before, valid_to=after) for user in range(1, 5)),
        _customer(5, before, valid_to=after, consent_profiling=False),
        *(_customer(user, after, consent_profiling=user != 2) for user in range(1, 6)),
        _customer(6, after),
    ]
    openings = [
        _opening(1, 1, "card_b", WINDOW.start),
        _opening(2, 1, "loan_a", WINDOW.end),
        _opening(3, 3, "deposit_a", WINDOW.end - timedelta(seconds=1)),
        _opening(4, 3, "card_b", WINDOW.start - timedelta(seconds=1)),
        _opening(5, 2, "card_b", WINDOW.start),
        _opening(6, 4, "card_a", WINDOW.start - timedelta(days=5)),
    ]
    held = {"user_id": 4, "product_id": "card_a", "opened_on": before, "closed_on": None}
    return Silver(
        interactions=empty_table(spark, "silver.interactions"),
        customers=_table(spark, "silver.customers", customers),
        holdings=_table(spark, "silver.holdings", [held]),
        aggregates=empty_table(spark, "silver.aggregates"),
        product_events=_table(spark, "silver.product_events", openings + later),
        campaign_interactions=_table(spark, "silver.campaign_interactions", _contacts()),
        items=empty_table(spark, "silver.items"),
        people=empty_table(spark, "silver.people"),
        products=CATALOGUE.products,
        categories={},
    )


def _cases(silver: Silver, window: LabelWindow = WINDOW) -> Cases:
    params = CaseParams(most_users=1000, horizon_days=7, seed=1)
    features = features_at(silver, window.as_of).persist()
    try:
        return labelled_users(
            silver, window, features=features, catalogue=CATALOGUE, rules=RULES, now=NOW, params=params
        )
    finally:
        features.unpersist()


@pytest.fixture(scope="module")
def silver(spark: SparkSession) -> Silver:
    return _silver(spark, later=[])


@pytest.fixture(scope="module")
def cases(silver: Silver) -> Cases:
    return _cases(silver)


def test_only_who_consents_both_then_and_now_is_trained_on(cases: Cases) -> None:
    assert cases.users.user_ids.tolist() == [1, 3, 4]


def test_openings_inside_the_window_are_the_labels(cases: Cases) -> None:
    expected = np.zeros((3, len(CATALOGUE.products)), np.bool_)
    expected[0, CARD_B] = expected[1, DEPOSIT] = True
    assert np.array_equal(cases.users.labels, expected)


def test_what_is_held_or_not_sold_then_is_no_case(cases: Cases) -> None:
    held_by_4 = cases.users.eligible[2]
    assert not held_by_4[CARD_A]
    assert held_by_4[CARD_B]
    assert not cases.users.eligible[:, 4].any()


def test_features_of_a_training_as_of_know_nothing_later(spark: SparkSession, cases: Cases) -> None:
    later = [_opening(100 + user, user, "loan_a", WINDOW.end + timedelta(days=1)) for user in range(1, 7)]
    changed = _cases(_silver(spark, later))
    assert np.array_equal(changed.users.features, cases.users.features, equal_nan=True)
    assert np.array_equal(changed.users.pairs, cases.users.pairs)
    assert np.array_equal(changed.users.products.features, cases.users.products.features)


@pytest.mark.parametrize(("as_of", "expected"), [(date(2026, 3, 4), 20.0), (date(2026, 3, 16), 30.0)])
def test_money_is_that_of_the_last_month_told_also_before_this_months_export(
    spark: SparkSession, silver: Silver, as_of: date, expected: float
) -> None:
    exported = {
        date(2025, 12, 1): date(2026, 1, 7),
        date(2026, 1, 1): date(2026, 2, 7),
        date(2026, 2, 1): date(2026, 3, 7),
    }
    months = [
        {"user_id": 1, "month": month, "turnover": 10.0 * number, "balance": 1.0, "valid_from": day}
        for number, (month, day) in enumerate(exported.items(), start=1)
    ]
    money = replace(silver, aggregates=_table(spark, "silver.aggregates", months))
    row = features_at(money, as_of).where("user_id = 1").collect()[0]
    assert row["f_money_turnover"] == expected
    assert row["f_money_turnover_trend"] > 0


def test_a_prior_counts_the_openings_before_the_as_of_only(spark: SparkSession, silver: Silver) -> None:
    moment = Moment(WINDOW.as_of, datetime(*WINDOW.as_of.timetuple()[:3], tzinfo=ZONE))
    priors = product_priors(silver, moment, catalogue=CATALOGUE, horizon_days=7)
    later = _silver(spark, [_opening(9, 1, "loan_a", WINDOW.start)])
    assert np.array_equal(product_priors(later, moment, catalogue=CATALOGUE, horizon_days=7).odds, priors.odds)
    assert priors.odds[CARD_A] > priors.odds[LOAN]


def test_a_product_without_a_past_has_the_prior_of_its_family(silver: Silver) -> None:
    moment = Moment(WINDOW.as_of, datetime(*WINDOW.as_of.timetuple()[:3], tzinfo=ZONE))
    priors = product_priors(silver, moment, catalogue=CATALOGUE, horizon_days=7)
    assert priors.odds[CARD_A] > priors.odds[CARD_B] > priors.odds[LOAN]
    assert priors.is_new[CARD_B] and not priors.is_new[CARD_A]


def test_a_sample_is_drawn_by_user_and_seed_alone(spark: SparkSession) -> None:
    users = spark.range(2000).withColumnRenamed("id", "user_id")
    drawn = [row[0] for row in sample(users, most=500, seed=3).orderBy("user_id").collect()]
    again = [row[0] for row in sample(users.repartition(7), most=500, seed=3).orderBy("user_id").collect()]
    assert drawn == again
    assert 400 < len(drawn) < 600


def test_without_customers_whoever_behaved_is_trained_on(spark: SparkSession, silver: Silver) -> None:
    seen = {
        "user_id": 77,
        "item_id": "card_a",
        "domain": "telemetry",
        "action": "view",
        "event_time": datetime(2026, 2, 20, tzinfo=UTC),
        "weight": 1.0,
        "day": date(2026, 2, 20),
    }
    nobody = replace(
        silver,
        customers=empty_table(spark, "silver.customers"),
        interactions=_table(spark, "silver.interactions", [seen]),
    )
    assert _cases(nobody).users.user_ids.tolist() == [77]


def test_first_contacts_are_uplift_cases_with_what_was_opened_after_them(spark: SparkSession, silver: Silver) -> None:
    rows = [(user, WINDOW.as_of, None, float(user)) for user in range(1, 4)]
    features = spark.createDataFrame(rows, "user_id bigint, as_of date, seen_until bigint, f_x float")
    found = contacted(silver, WINDOW, features=features, now=NOW, fewest=1)
    assert found is not None
    assert found.user_ids.tolist() == [1, 3, 4]
    assert found.treated.tolist() == [True, False, True]
    assert found.outcome.tolist() == [1, 1, 0]
    assert np.array_equal(found.features[:, 0], [1, 3, np.nan], equal_nan=True)
    assert found.features[:, found.names.index("offered_deposit")].tolist() == [0, 1, 0]
    assert has_controls(silver.campaign_interactions, since=WINDOW.as_of, fewest=3)
    assert not has_controls(silver.campaign_interactions, since=WINDOW.as_of, fewest=4)
