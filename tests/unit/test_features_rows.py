"""Rows of facts and the features made of them, without Spark: against plain Python, and hand-computed users."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.catalogue import LocalText, Product
from data_contracts.vocabulary import Channel, Family
from spark_jobs.features.base import Moment, Rows, Words
from spark_jobs.features.behaviour_table import behaviour_batch
from spark_jobs.features.cell_rows import Topics
from spark_jobs.features.cells import DOMAINS, GROUPS, MICROS_PER_DAY, Behaviour, Happenings, fold_day, topic_code
from spark_jobs.features.engine import Recipe, feature_batch
from spark_jobs.features.product_signals import SIGNALS, dense_signals
from spark_jobs.features.registry import all_features
from spark_jobs.features.segments import segment_names
from spark_jobs.features.sources import BEHAVIOUR_SOURCE, SOURCES
from spark_jobs.features.streams import family_topic
from spark_jobs.features.whole_users import whole_users

MOMENT = Moment(date(2026, 3, 16), datetime(2026, 3, 15, 21, tzinfo=UTC))
CATEGORIES = {"marketplace": ("phones", "Дом", "pho-nes", "phones 2")}
FEATURES = {feature.name: feature for feature in all_features(CATEGORIES)}


def product(product_id: str, family: Family, *complements: str) -> Product:
    name = LocalText(en=product_id, ru=product_id)
    return Product(
        product_id=product_id, family=family, name=name, value=1, channels=(Channel.MOBILE,), complements=complements
    )


PRODUCTS = (
    product("card_debit", Family.CARD, "card_gold", "not in the catalogue"),
    product("card_gold", Family.CARD),
    product("loan_cash", Family.LOAN),
)
RECIPE = Recipe(tuple(FEATURES.values()), Topics.of(["phones"], PRODUCTS), PRODUCTS, MOMENT)

facts = st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["a", "b", None]), st.integers(0, 1000)), max_size=40)


def rows_of(table: Sequence[tuple[int, str | None, int]]) -> Rows:
    ordered = sorted(table, key=lambda row: row[0])
    return Rows(
        users=5,
        user=np.array([row[0] for row in ordered], np.int64),
        keys={"word": Words.of([row[1] for row in ordered])},
        numbers={"number": np.array([row[2] for row in ordered], np.float64)},
    )


def by_user(table: Sequence[tuple[int, str | None, int]], user: int) -> list[int]:
    return [number for who, word, number in table if who == user and word == "a"]


@settings(deadline=None)
@given(facts)
def test_reductions_agree_with_plain_python(table: list[tuple[int, str | None, int]]) -> None:
    chosen = rows_of(table).where(word="a")
    for user in range(5):
        numbers = by_user(table, user)
        assert chosen.sum("number")[user] == sum(numbers)
        assert chosen.count()[user] == len(numbers)
        assert chosen.bits("number")[user] == bin(int(np.bitwise_or.reduce(numbers)) if numbers else 0).count("1")
        for reduced, expected in ((chosen.max("number"), max), (chosen.min("number"), min)):
            assert reduced[user] == expected(numbers) if numbers else np.isnan(reduced[user])


@settings(deadline=None)
@given(facts, st.integers(1, 7), st.integers(1, 96))
def test_whole_users_cuts_no_user_in_two(table: list[Any], size: int, at_once: int) -> None:
    users = sorted(row[0] for row in table)
    whole = pa.table({"user_id": pa.array(users, pa.int64())})
    parts = [part.column("user_id").to_pylist() for part in whole_users(whole.to_batches(size), at_once=at_once)]
    assert [user for part in parts for user in part] == users
    for left, right in pairwise(parts):
        assert left[-1] != right[0]


@dataclass(frozen=True)
class Done:
    """Something a user did, so many days before the as-of."""

    user_id: int
    domain: str
    group: str
    days_ago: float
    weight: float = 1.0
    topic: str = ""
    item: int = 1


def behaviour_rows_of(done: Sequence[Done]) -> pa.RecordBatch:
    """user_id, cells, items: the state at the as-of, as the table holds it."""
    user_ids, user = np.unique([one.user_id for one in done], return_inverse=True)
    told = Happenings(
        user=user.astype(np.int64),
        time=np.array([MOMENT.micros - round(one.days_ago * MICROS_PER_DAY) for one in done], np.int64),
        domain=np.array([DOMAINS.index(one.domain) for one in done], np.uint8),
        group=np.array([GROUPS.index(one.group) for one in done], np.uint8),
        topic=np.array([topic_code(one.topic) for one in done], np.int64),
        item=np.array([one.item for one in done], np.int64),
        weight=np.array([one.weight for one in done], np.float64),
    )
    state = Behaviour.nothing(len(user_ids))
    for day in range(60, 0, -1):
        start = MOMENT.micros - day * MICROS_PER_DAY
        end = start + MICROS_PER_DAY
        state = fold_day(state, told.between(start, end), start=start, end=end)
    return behaviour_batch(state, user_ids.astype(np.int64), MOMENT.as_of).drop_columns(["as_of"])


def facts_table(rows: Sequence[Mapping[str, Any]], done: Sequence[Done] = ()) -> pa.Table:
    """Facts as Spark hands them over; a row names its source, user and what it says."""
    places = {name: position for position, name in enumerate(SOURCES)}
    columns: dict[str, list[Any]] = {"user_id": [], "source": []}
    columns |= {f"key_{n}": [] for n in range(3)} | {f"number_{n}": [] for n in range(9)}
    for row in rows:
        source = SOURCES[row["source"]]
        columns["user_id"].append(row["user_id"])
        columns["source"].append(places[row["source"]])
        for n in range(3):
            columns[f"key_{n}"].append(row.get(source.keys[n]) if n < len(source.keys) else None)
        for n in range(9):
            columns[f"number_{n}"].append(row.get(source.numbers[n]) if n < len(source.numbers) else None)
    types = [pa.int64(), pa.int8(), *[pa.string()] * 3, *[pa.float64()] * 9]
    table = pa.table(
        {name: pa.array(column, type_) for (name, column), type_ in zip(columns.items(), types, strict=True)}
    )
    state = pa.table(behaviour_rows_of(done))
    state = state.append_column("source", pa.array([BEHAVIOUR_SOURCE] * state.num_rows, pa.int8()))
    return pa.concat_tables([table, state], promote_options="default").sort_by("user_id").combine_chunks()


def computed(*rows: Mapping[str, Any], done: Sequence[Done] = ()) -> dict[int, dict[str, Any]]:
    batch = feature_batch(facts_table(rows, done), RECIPE)
    return {row["user_id"]: row for row in batch.to_pylist()}


def test_counts_spend_and_rhythm_of_a_hand_made_user() -> None:
    paid = [Done(7, "payments", "purchase", 7.0, 40, item=1), Done(7, "payments", "purchase", 0.5, 5, item=2)]
    users = computed(done=[*paid, Done(7, "payments", "purchase", 0.5, 5, item=3)])
    recent = 0.5 ** (0.5 / 7)
    assert users[7]["f_payments_purchase_7d"] == pytest.approx(0.5 + 2 * recent)
    assert users[7]["f_payments_spend_7d"] == pytest.approx(20 + 10 * recent)
    assert users[7]["f_payments_brands"] == 3
    assert users[7]["f_payments_active_days"] == 2
    assert users[7]["f_payments_days_since"] == pytest.approx(0.5)
    assert users[7]["f_marketplace_view_7d"] == 0
    assert users[7]["f_marketplace_days_since"] is None
    assert users[7]["seen_until"] == MOMENT.micros - MICROS_PER_DAY // 2


def test_categories_families_and_bank_events_are_told_apart() -> None:
    users = computed(
        done=[
            Done(1, "marketplace", "view", 30.0, topic="phones"),
            Done(1, "marketplace", "view", 30.0, topic="a category without a feature"),
            Done(1, "telemetry", "view", 7.0, topic="card_gold"),
            Done(1, "telemetry", "search", 7.0, topic=family_topic("loan")),
            Done(1, "product_events", "step:applied", 30.0, topic="card_gold"),
            Done(1, "campaign_interactions", "campaign:shown", 30.0, topic="loan_cash"),
        ]
    )
    assert users[1]["f_marketplace_phones_30d"] == pytest.approx(0.5)
    assert users[1]["f_marketplace_view_30d"] == pytest.approx(1.0)
    assert users[1]["f_telemetry_views_7d_card"] == pytest.approx(0.5)
    assert users[1]["f_telemetry_searches_7d_loan"] == pytest.approx(0.5)
    assert users[1]["f_product_applied_30d_card"] == pytest.approx(0.5)
    assert users[1]["f_campaign_shown_30d_loan"] == pytest.approx(0.5)
    assert users[1]["f_product_closed_30d"] == users[1]["f_campaign_clicked_30d"] == 0


def test_who_only_has_bank_events_is_no_user() -> None:
    assert computed(done=[Done(1, "product_events", "step:applied", 3.0, topic="card_gold")]) == {}


def test_signals_of_pairs_tell_views_steps_contacts_and_relations() -> None:
    done = [
        Done(1, "telemetry", "view", 7.0, topic="card_gold"),
        Done(1, "product_events", "step:applied", 14.0, topic="card_gold"),
        Done(1, "campaign_interactions", "campaign:shown", 30.0, topic="loan_cash"),
        Done(2, "telemetry", "view", 1.0, topic="not in the catalogue"),
    ]
    held = {"source": "holdings", "user_id": 1, "product_id": "card_debit", "family": "card", "is_held": "yes"}
    batch = feature_batch(facts_table([held], done), RECIPE)
    product_ids = [product.product_id for product in PRODUCTS]
    dense = dense_signals(batch, SIGNALS, products=product_ids)
    told = {
        (user, product_ids[product], SIGNALS[signal]): float(dense[user, product, signal])
        for user, product, signal in np.argwhere(dense)
    }
    assert told == {
        (0, "card_gold", "f_pair_telemetry_views_7d"): 0.5,
        (0, "card_gold", "f_pair_telemetry_views_30d"): pytest.approx(0.5 ** (7 / 30)),
        (0, "card_gold", "f_pair_telemetry_view_fresh"): 0.5,
        (0, "card_gold", "f_pair_product_applied_30d"): pytest.approx(0.5 ** (14 / 30)),
        (0, "card_gold", "f_pair_product_applied_fresh"): 0.25,
        (0, "card_gold", "f_pair_holdings_complements"): 1.0,
        (0, "loan_cash", "f_pair_campaign_shown_30d"): 0.5,
        (0, "loan_cash", "f_pair_campaign_shown_fresh"): pytest.approx(0.5 ** (30 / 7)),
    }
    assert not dense_signals(batch, ("f_pair_telemetry_views_7d",), products=["another"]).any()


def test_what_is_unknown_of_a_customer_stays_null() -> None:
    users = computed(
        {"source": "customers", "user_id": 1, "birth_year": 1990, "employment": "student", "consent_web": 1.0},
        {"source": "customers", "user_id": 2, "credit_limit": 50.0},
    )
    assert (users[1]["f_customer_age"], users[1]["f_customer_is_student"], users[1]["f_credit_limit"]) == (36, 1, None)
    assert (users[2]["f_customer_age"], users[2]["f_customer_is_student"], users[2]["f_credit_limit"]) == (None, 0, 50)
    assert (users[1]["f_customer_consent_web"], users[2]["f_customer_consent_web"]) == (1, 0)


def test_only_customers_and_who_behaved_are_users() -> None:
    nobody = {"source": "people", "user_id": 3, "socdem_cluster": 4.0}
    assert set(computed(nobody, {"source": "customers", "user_id": 1})) == {1}


def test_money_of_the_last_month_and_its_trend() -> None:
    months = [
        {"source": "aggregates", "user_id": 1, "months_ago": str(ago), "turnover": amount}
        for ago, amount in ((0, 30.0), (1, 10.0), (2, 10.0), (5, 9000.0))
    ]
    users = computed({"source": "customers", "user_id": 1}, *months)
    assert users[1]["f_money_turnover"] == 30
    assert users[1]["f_money_turnover_trend"] == pytest.approx((30 - 10) / (30 + 10))
    assert users[1]["f_money_balance"] is None


def test_holdings_count_what_is_held_and_remember_the_past() -> None:
    users = computed(
        {"source": "customers", "user_id": 1},
        {"source": "holdings", "user_id": 1, "family": "card", "is_held": "yes", "age": 100},
        {"source": "holdings", "user_id": 1, "family": "loan", "is_held": "no", "age": 900},
    )
    assert (users[1]["f_holdings_count"], users[1]["f_holdings_past"], users[1]["f_holdings_tenure"]) == (1, 1, 900)
    assert (users[1]["f_holdings_held_card"], users[1]["f_holdings_held_loan"]) == (1, 0)
    assert users[1]["f_holdings_card_held"] == 1


def test_a_block_of_users_gives_what_each_user_gives_alone() -> None:
    done = [Done(user, "retail", group, float(user + 1)) for user in range(6) for group in ("view", "cart")]
    together = computed(done=done)
    for user in range(6):
        assert together[user] == computed(done=[one for one in done if one.user_id == user])[user]


def test_what_is_told_by_family_is_told_for_all_nine() -> None:
    families = [family.value for family in Family]
    stems = {name.rpartition("_")[0] for name in FEATURES if name.rpartition("_")[2] in families}
    assert stems
    for stem in stems:
        assert {f"{stem}_{family}" for family in families} <= set(FEATURES)


def test_categories_that_read_alike_have_names_of_their_own() -> None:
    told = {feature.description for name, feature in FEATURES.items() if "of category" in feature.description}
    assert sum("marketplace" in text for text in told) == 4
    assert all(name.isascii() for name in FEATURES)


def test_a_feature_must_be_named_as_one() -> None:
    with pytest.raises(ValueError, match="must be named f_"):
        replace(FEATURES["f_customer_age"], name="age")


def test_segments_are_few_and_each_has_a_name_of_its_own() -> None:
    names = segment_names()
    assert list(names) == list(range(len(names)))
    assert len(set(names.values())) == len(names) <= 60
    assert names[0] == "nothing known"
