"""User features and product signals in Spark: hand-computed values, and nothing of the future in any of them."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from data_contracts.catalogue import LocalText, Product
from data_contracts.errors import InputError
from data_contracts.tables import contract
from data_contracts.vocabulary import CampaignEvent, Channel, Family, ProductEvent
from spark_jobs.features.base import Moment
from spark_jobs.features.portraits import portraits
from spark_jobs.features.product_signals import SIGNALS, dense_signals
from spark_jobs.features.segments import segment_names, segments, segments_of_unknown
from spark_jobs.features.silver import Silver
from spark_jobs.features.training_set import training_set
from spark_jobs.lake.collect import collected
from tests.spark.feature_samples import features_at

AS_OF = date(2026, 3, 16)
CUT_OFF = datetime(2026, 3, 15, 21, tzinfo=UTC)  # 00:00 in Moscow
MOMENT = Moment(AS_OF, CUT_OFF)
USERS = range(1, 9)
OTHERS = 100
Row = Mapping[str, Any]


def product(product_id: str, family: Family, **more: Any) -> Product:
    name = LocalText(en=product_id, ru=product_id)
    return Product(product_id=product_id, family=family, name=name, value=1, channels=(Channel.MOBILE,), **more)


PRODUCTS = (
    product("card_debit", Family.CARD, complements=("insurance_card",), upgrades=("card_gold",)),
    product("card_gold", Family.CARD),
    product("insurance_card", Family.INSURANCE),
    product("loan_cash", Family.LOAN),
)
PRODUCT_IDS = [one.product_id for one in PRODUCTS]


@dataclass(frozen=True)
class Lake:
    """Rows by silver table, as a seeded past and a seeded future make them."""

    tables: Mapping[str, Sequence[Row]]

    def silver(self, spark: SparkSession) -> Silver:
        def frame(name: str) -> DataFrame:
            promised = contract(f"silver.{name}")
            rows = [tuple(row.get(column) for column in promised.column_names) for row in self.tables.get(name, ())]
            return spark.createDataFrame(rows, promised.ddl)

        names = (
            "interactions",
            "customers",
            "holdings",
            "aggregates",
            "product_events",
            "campaign_interactions",
            "items",
            "people",
        )
        frames = {name: frame(name) for name in names}
        return Silver(**frames, products=PRODUCTS, categories={"marketplace": ("phones",), "retail": ("drinks",)})


def event(when: datetime, **more: Any) -> Row:
    local = when + timedelta(hours=3)
    return {"event_time": when, "day": local.date(), **more}


def anything(draw: random.Random, when: Callable[[], datetime], *, key: str) -> dict[str, list[Row]]:
    """Random behaviour at the moments that `when` draws."""

    def user() -> int:
        return draw.choice(USERS)

    items = [("marketplace", "view", "nfmcg_1"), ("retail", "purchase", "fmcg_1"), ("payments", "purchase", "brand:5")]
    items += [("telemetry", "view", draw.choice(PRODUCT_IDS)), ("telemetry", "view", "screen:cards")]
    items += [("telemetry", "search", "search:ипотека"), ("transactions", "purchase", "mcc:fuel")]
    seen = [event(when(), user_id=user(), weight=draw.uniform(0, 99), **named(draw.choice(items))) for _ in range(60)]
    steps = [
        event(
            when(),
            event_id=f"{key}{n}",
            user_id=user(),
            product_id=draw.choice(PRODUCT_IDS),
            event_type=draw.choice(list(ProductEvent)).value,
        )
        for n in range(30)
    ]
    contacts = [
        event(
            when(),
            event_id=f"{key}{n}",
            user_id=user(),
            product_id=draw.choice(PRODUCT_IDS),
            channel="mobile",
            campaign_id="c",
            event_type=draw.choice(list(CampaignEvent)).value,
        )
        for n in range(30)
    ]
    return {"interactions": seen, "product_events": steps, "campaign_interactions": contacts}


def named(item: tuple[str, str, str]) -> Row:
    return dict(zip(("domain", "action", "item_id"), item, strict=True))


def customer(user: int, valid_from: date, valid_to: date | None, draw: random.Random) -> Row:
    consents = {f"consent_{name}": draw.random() < 0.5 for name in ("mobile", "web", "crm", "profiling")}
    return {
        "user_id": user,
        "birth_year": draw.randint(1950, 2005),
        "income_band": draw.randint(0, 4),
        "employment": draw.choice(["employed", "student", None]),
        "lifecycle_stage": draw.choice(["new", "active"]),
        "credit_limit": draw.uniform(0, 1e6),
        "valid_from": valid_from,
        "valid_to": valid_to,
        **consents,
    }


def lake(*, future_seed: int) -> Lake:
    """One past, and a future that the seed decides: later events, exports, months, openings and closings."""
    past, future = random.Random(1), random.Random(future_seed)
    before = CUT_OFF.replace(tzinfo=None)
    tables = anything(past, lambda: before - timedelta(seconds=past.randint(1, 40 * 86_400)), key="past")
    later = anything(future, lambda: before + timedelta(seconds=future.randint(0, 9 * 86_400)), key="future")
    tables = {name: [*rows, *later[name]] for name, rows in tables.items()}
    next_export = AS_OF + timedelta(days=future.randint(1, 9))
    days = (AS_OF - timedelta(days=9), AS_OF, next_export)
    told = [customer(user, *days[n : n + 2], past) for n in range(2) for user in USERS if user < 6]
    told += [customer(user, next_export, None, future) for user in USERS]
    months = [
        {**month(user, AS_OF.replace(month=number, day=1), past), "valid_to": future.choice([None, next_export])}
        for user in USERS
        for number in (1, 2)
    ]
    later_months = [month(user, AS_OF.replace(month=number, day=1), future) for user in USERS for number in (2, 3)]
    months += [{**row, "valid_from": next_export} for row in later_months if future.random() < 0.5]
    tables |= {"customers": told, "aggregates": months, "holdings": holdings(past, future)}
    return Lake(tables)


def month(user: int, first: date, draw: random.Random) -> Row:
    money = {"turnover": draw.uniform(0, 1e5), "balance": draw.uniform(0, 1e5)}
    return {"user_id": user, "month": first, **money, "valid_from": AS_OF - timedelta(days=2)}


def holdings(past: random.Random, future: random.Random) -> list[Row]:
    """Held at the as-of, whether or not closed later; closed before it; opened from the as-of on."""
    rows = []
    for user in USERS:
        opened = AS_OF - timedelta(days=past.randint(1, 900))
        later = AS_OF + timedelta(days=future.randint(0, 30))
        closed = past.choice([AS_OF - timedelta(days=1), future.choice([None, later])])
        rows.append({"user_id": user, "product_id": "card_debit", "opened_on": opened, "closed_on": closed})
        if future.random() < 0.5:
            rows.append({"user_id": user, "product_id": "loan_cash", "opened_on": later, "closed_on": None})
    return rows


def beside(first: Lake, second: Lake) -> Lake:
    """Both in one, the users of the second numbered from `OTHERS` on."""
    renamed = {
        name: [{**row, "user_id": row["user_id"] + OTHERS} for row in rows] for name, rows in second.tables.items()
    }
    return Lake({name: [*rows, *renamed[name]] for name, rows in first.tables.items()})


def rows_of(features: DataFrame) -> list[Row]:
    return [row.asDict() for row in sorted(features.collect(), key=lambda row: row["user_id"])]


@pytest.fixture(scope="module")
def silver(spark: SparkSession) -> Silver:
    return lake(future_seed=2).silver(spark)


@pytest.fixture(scope="module")
def frame(silver: Silver) -> Iterator[DataFrame]:
    made = features_at(silver, AS_OF).persist()
    yield made
    made.unpersist()


@pytest.fixture(scope="module")
def features(frame: DataFrame) -> list[Row]:
    return rows_of(frame)


def test_no_feature_and_no_signal_sees_the_future(spark: SparkSession, features: list[Row]) -> None:
    assert len(features) == len(USERS)
    assert any(row["pair_signals"] for row in features)
    futures = beside(lake(future_seed=3), lake(future_seed=4)).silver(spark)
    told = rows_of(features_at(futures, AS_OF))
    assert [row for row in told if row["user_id"] < OTHERS] == features
    assert [{**row, "user_id": row["user_id"] - OTHERS} for row in told if row["user_id"] > OTHERS] == features


def test_a_training_set_is_refused_a_feature_of_the_future(spark: SparkSession, frame: DataFrame) -> None:
    labels = spark.createDataFrame(
        [(1, CUT_OFF + timedelta(days=1)), (99, CUT_OFF)], "user_id bigint, label_time timestamp"
    )
    rows = {row["user_id"]: row.asDict() for row in training_set(labels, frame, MOMENT).collect()}
    assert rows[1]["f_customer_is_customer"] == 1
    assert (rows[99]["f_customer_is_customer"], "as_of" in rows[99]) == (None, False)
    planted = frame.withColumn(
        "seen_until", F.when(F.col("user_id") == 3, MOMENT.micros).otherwise(F.col("seen_until"))
    )
    with pytest.raises(InputError, match="knows of something later"):
        training_set(labels, planted, MOMENT)
    with pytest.raises(InputError, match="recs backfill --from 2026-03-15"):
        training_set(labels, frame, Moment(AS_OF - timedelta(days=1), CUT_OFF - timedelta(days=1)))
    early = labels.withColumn("label_time", F.col("label_time") - F.expr("interval 2 days"))
    with pytest.raises(InputError, match="a label must be later"):
        training_set(early, frame, MOMENT)


def test_every_kind_of_fact_reaches_some_feature(features: list[Row]) -> None:
    told = {name for row in features for name, value in row.items() if value}
    for area in ("marketplace", "telemetry", "product", "campaign", "customer", "money", "holdings", "transactions"):
        assert any(name.startswith(f"f_{area}_") for name in told), area


def test_hand_made_users(spark: SparkSession) -> None:
    noon = datetime(2026, 3, 15, 9)  # noon in Moscow: half a day before the as-of
    view = {"user_id": 1, "weight": 1.0, "domain": "marketplace", "action": "view"}
    tables = {
        "interactions": [
            event(noon, item_id="nfmcg_1", **view),
            event(noon - timedelta(days=7), item_id="nfmcg_1", **view),
            event(noon, user_id=1, weight=1.0, domain="telemetry", action="view", item_id="loan_cash"),
            event(noon, user_id=1, weight=1.0, domain="telemetry", action="search", item_id="search:Взять КРЕДИТ"),
            event(noon, user_id=2, weight=100.0, domain="transactions", action="purchase", item_id="mcc:fuel"),
        ],
        "items": [{"item_id": "nfmcg_1", "domain": "marketplace", "category": "phones"}],
        "holdings": [{"user_id": 2, "product_id": "card_debit", "opened_on": date(2026, 3, 6), "closed_on": None}],
        "people": [{"user_id": 1, "socdem_cluster": 4}],
    }
    frame = features_at(Lake(tables).silver(spark), AS_OF).persist()
    one, two = rows_of(frame)
    assert one["f_marketplace_view_7d"] == pytest.approx(2 ** (-0.5 / 7) + 2 ** (-7.5 / 7), abs=1e-5)
    assert one["f_marketplace_phones_30d"] == pytest.approx(2 ** (-0.5 / 30) + 2 ** (-7.5 / 30), abs=1e-5)
    assert (one["f_marketplace_items"], one["f_marketplace_active_days"]) == (1, 2)
    assert one["f_marketplace_days_since"] == pytest.approx(0.5)
    assert one["f_telemetry_views_7d_loan"] == pytest.approx(2 ** (-0.5 / 7), abs=1e-5)
    assert one["f_telemetry_searches_7d_loan"] == pytest.approx(2 ** (-0.5 / 7), abs=1e-5)
    assert two["f_transactions_fuel_30d"] == pytest.approx(100 * 2 ** (-0.5 / 30), abs=1e-3)
    assert (two["f_holdings_held_card"], two["f_holdings_tenure"], two["f_customer_is_customer"]) == (1, 10, 0)
    signals = frame.select("pair_products", "pair_signals").orderBy("user_id")
    dense = dense_signals(collected(signals), SIGNALS, products=PRODUCT_IDS)
    told = {(user, PRODUCT_IDS[product], SIGNALS[signal]) for user, product, signal in np.argwhere(dense).tolist()}
    assert told == {
        *((0, "loan_cash", f"f_pair_telemetry_{what}") for what in ("views_7d", "views_30d", "view_fresh")),
        (1, "insurance_card", "f_pair_holdings_complements"),
        (1, "card_gold", "f_pair_holdings_upgrades"),
    }
    frame.unpersist()


def test_segments_and_portraits_describe_the_same_users(silver: Silver, frame: DataFrame) -> None:
    numbers = {row["user_id"]: row["segment"] for row in segments(frame).collect()}
    names = segment_names()
    assert set(numbers) == set(USERS)
    assert all("income" in names[numbers[user]] for user in range(1, 6))
    assert all(names[numbers[user]] in ("seen once or twice", "occasional", "regular") for user in range(6, 9))
    rows = portraits(frame, silver, MOMENT).where("product_id = 'card_debit'").collect()
    told = {row["feature"]: row for row in rows}
    ages = [row["f_customer_age"] for row in frame.select("f_customer_age").collect() if row[0] is not None]
    assert told["f_customer_age"]["everyone_mean"] == pytest.approx(sum(ages) / len(ages), abs=1e-2)
    assert told["f_customer_age"]["holders"] == told["f_credit_limit"]["holders"] > 0


def test_without_bank_data_a_cluster_or_activity_is_the_segment(spark: SparkSession) -> None:
    when = datetime(2026, 3, 15, 9)
    view = {"weight": 1.0, "domain": "marketplace", "action": "view", "item_id": "nfmcg_1"}
    silver = Lake(
        {
            "interactions": [event(when, user_id=user, **view) for user in (1, 2, *[3] * 5, *[4] * 20, *[5] * 70)],
            "people": [{"user_id": 1, "socdem_cluster": 4}],
        }
    ).silver(spark)
    bare = replace(silver, products=())
    frame = features_at(bare, AS_OF).cache()
    numbers = {row["user_id"]: row["segment"] for row in segments(frame).collect()}
    told = ["T-ECD cluster 4", "seen once or twice", "occasional", "regular", "heavy"]
    assert [segment_names()[numbers[user]] for user in range(1, 6)] == told
    cluster = np.array([4, -1, -1, -1, -1], np.int16)
    events = np.array([1, 1, 5, 20, 70]) * 0.5 ** (0.5 / 7)
    assert segments_of_unknown(cluster, events).tolist() == [numbers[user] for user in range(1, 6)]
    assert not any(row["pair_signals"] for row in frame.collect())
    frame.unpersist()
