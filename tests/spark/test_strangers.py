"""What a night gathers of strangers: openings by segment and profiles, whatever order they are added up in."""

from datetime import date

import numpy as np
import pytest
from pyspark.sql import SparkSession

from spark_jobs.features.portraits import PROFILE
from spark_jobs.scoring.strangers import Seen, night_rates, openings_by_segment, profiles_by_segment

AS_OF = date(2026, 3, 16)
AGE = PROFILE.index("f_customer_age")


@pytest.fixture(scope="module")
def seen(spark: SparkSession) -> Seen:
    events = [
        (1, "card_a", "opened", date(2026, 3, 6)),
        (2, "card_a", "opened", date(2026, 3, 15)),
        (2, "card_a", "applied", date(2026, 3, 15)),
        (3, "loan_a", "opened", date(2026, 3, 15)),
        (3, "loan_a", "opened", date(2026, 2, 1)),  # too long ago
        (3, "loan_a", "opened", AS_OF),  # not known yet
        (3, "withdrawn", "opened", date(2026, 3, 15)),
        (9, "loan_a", "opened", date(2026, 3, 15)),  # not listed
    ]
    features = [(user, *(age if name == "f_customer_age" else 1.0 for name in PROFILE)) for user, age in AGES.items()]
    names = ", ".join(f"{name} float" for name in PROFILE)
    return Seen(
        rows=spark.createDataFrame([(1, 2), (2, 2), (3, 5)], "user_id bigint, segment smallint"),
        users={2: 2, 5: 1},
        product_events=spark.createDataFrame(events, "user_id bigint, product_id string, event_type string, day date"),
        features=spark.createDataFrame(features, f"user_id bigint, {names}"),
        portraits=spark.createDataFrame(
            [("loan_a", "f_customer_age", 60.0), ("card_a", "f_customer_age", 25.0), ("card_a", PROFILE[1], None)],
            "product_id string, feature string, holders_mean float",
        ),
        products=("card_a", "loan_a"),
    )


AGES = {1: 20.0, 2: 30.5, 3: 60.0, 9: 90.0}


def test_openings_of_listed_users_in_the_last_two_horizons_are_counted_by_segment(seen: Seen) -> None:
    openings, horizons = openings_by_segment(seen, as_of=AS_OF, horizon_days=7)
    assert openings[[2, 5]].tolist() == [[2, 0], [0, 1]]
    assert openings.sum() == 3
    assert horizons == pytest.approx(10 / 7)  # the first opening was ten days ago


def test_profiles_are_means_of_segments_beside_everybody_and_the_portraits(seen: Seen) -> None:
    profiles = profiles_by_segment(seen)
    assert profiles.segments[[2, 5], AGE].tolist() == [25.25, 60.0]
    assert np.isnan(profiles.segments[0]).all()
    assert profiles.everyone[AGE] == pytest.approx(np.mean([20, 30.5, 60]))
    assert profiles.spread[AGE] == pytest.approx(np.std([20, 30.5, 60]))
    assert profiles.holders[:, AGE].tolist() == [25.0, 60.0]
    assert profiles.likeness()[[2, 5]].tolist() == pytest.approx(np.array([[1, -1], [-1, 1]]))


def test_a_segment_is_told_what_the_holders_who_are_like_it_open(seen: Seen) -> None:
    rates = night_rates(seen, as_of=AS_OF, horizon_days=7)
    assert rates.shape == (6, 2)
    assert rates[2, 0] > rates[5, 0]
    assert rates[5, 1] > rates[2, 1]
