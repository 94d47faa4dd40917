"""A night's ingest over tiny deliveries of every kind: what silver and quarantine hold, what a re-run changes."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from data_contracts.errors import InputError
from spark_jobs.jobs.ingest import run
from spark_jobs.jobs.runner import JobReport
from spark_jobs.lake.commits import changed_days, first_changed_day, newest_version
from spark_jobs.lake.tables import table_uri
from tests.spark.ingest_samples import AS_OF, Deliveries, TableRows, at

FIRST, LAST = AS_OF - timedelta(days=3), AS_OF - timedelta(days=1)
EMPTY, LATE = AS_OF - timedelta(days=2), AS_OF - timedelta(days=5)


@dataclass(frozen=True)
class Ingested:
    spark: SparkSession
    deliveries: Deliveries
    report: JobReport

    @cached_property
    def tables(self) -> TableRows:
        return TableRows(self.spark, self.deliveries.params().lake)

    def rows(self, table: str, **where: Any) -> list[Mapping[str, Any]]:
        """Those with some values in columns."""
        rows = [row for row in self.tables.of(table) if all(row[name] == value for name, value in where.items())]
        return sorted(rows, key=str)

    def quarantined(self, source: str) -> Mapping[str, int]:
        frame = self.spark.read.format("delta").load(f"{self.deliveries.params().lake}/quarantine/{source}")
        return Counter(row["reason"] for row in frame.select("reason").collect())


@pytest.fixture(scope="module")
def ingested(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    deliveries = Deliveries(tmp_path_factory.mktemp("ingest"))
    deliver_partners(deliveries)
    deliver_content(deliveries)
    deliver_bank(deliveries)
    return Ingested(spark, deliveries, run(spark, deliveries.params()))


def deliver_partners(deliveries: Deliveries) -> None:
    deliveries.marketplace(FIRST, [(1, 1, "nfmcg_1", "view"), (1, 1, "nfmcg_1", "view"), (1, 1, "nfmcg_1", "click")])
    deliveries.marketplace(EMPTY, [])
    bad = [(2, 1, "nfmcg_2", "stare"), (-30, 1, "nfmcg_2", "view"), (24, 1, "nfmcg_2", "view")]
    unknown = [(3, None, "nfmcg_2", "view"), (3, 2**63 + 5, "nfmcg_2", "view")]
    deliveries.marketplace(LAST, [(23.5, 2, "nfmcg_2", "like"), *bad, *unknown])
    deliveries.marketplace(AS_OF, [(1, 1, "nfmcg_1", "view")])
    spellings = [(5, 9, "fmcg_1", "added-to-cart"), (6, 9, "fmcg_1", "added_to_cart"), (7, 9, "fmcg_1", "order")]
    deliveries.marketplace(LAST, spellings, domain="retail")
    deliveries.parquet(
        "tecd/payments/events/01296.pq",
        {
            "timestamp": pa.array([at(LAST, 1)] * 3, pa.duration("us")),
            "user_id": pa.array([1, 1, 1], pa.uint64()),
            "brand_id": pa.array([5, None, None], pa.uint64()),
            "price": pa.array([10.5, 3.0, None]),
            "transaction_hash": pa.array(["a", "b", "c"]),
        },
    )
    deliveries.parquet(
        "tecd/users.pq",
        {
            "user_id": pa.array([1, 1, 2], pa.uint64()),
            "socdem_cluster": pa.array([3, 3, None], pa.uint8()),
            "region": pa.array([None, None, 5], pa.uint8()),
        },
    )


def deliver_content(deliveries: Deliveries) -> None:
    """Brands: a good one twice, none, empty, too short, not finite. Items of a shop and wider ones of offers."""
    broken = [0.5] * 299 + [float("inf")]
    brands = {5: [0.5] * 300, 6: None, 7: [], 8: [0.5] * 3, 9: broken}
    deliveries.parquet(
        "tecd/brands.pq",
        {
            "brand_id": pa.array([5, 5, 6, 7, 8, 9, None], pa.uint64()),
            "embedding": pa.array([[0.75] * 300, *brands.values(), [0.5] * 300], pa.list_(pa.float32())),
        },
    )
    for domain, prefix, width in (("marketplace", "nfmcg", 300), ("offers", "offer", 312)):
        embedding = pa.array([[0.25] * width, [], None, [0.25] * 5], pa.list_(pa.float32()))
        items = {
            "item_id": pa.array([f"{prefix}_{n}" for n in range(4)]),
            "brand_id": pa.array([5] * 4, pa.uint64()),
            "embedding": embedding,
        }
        shop = {"category": pa.array(["food"] * 4), "subcategory": pa.array([None] * 4, pa.string())}
        shop |= {"price": pa.array([1.0, float("nan"), None, 2.0])}
        deliveries.parquet(f"tecd/{domain}/items.pq", items | (shop if domain == "marketplace" else {}))


def deliver_bank(deliveries: Deliveries) -> None:
    deliveries.reference()
    for day in (AS_OF - timedelta(days=9), FIRST):
        deliveries.customers(day, [1, 2] if day == FIRST else [1])
        deliveries.holdings(day, [(1, "card_debit", date(2020, 1, 1), None), (2, "loan_cash", date(2021, 1, 1), None)])
    deliveries.customers(AS_OF + timedelta(days=1), [1, 2, 3])
    deliveries.avro("bank.product_events", LAST, product_events())
    deliveries.avro(
        "digital.telemetry",
        LAST,
        [
            telemetry("a", "product_view", product_id="loan_cash"),
            telemetry("b", "search", query="ипотека"),
            telemetry("c", "screen", screen="main"),
        ],
    )
    spent = {"event_time": 12, "user_id": 1, "category": "mcc:fuel", "brand_id": None}
    amounts = [("a", "out", 70.0), ("b", "in", 900.0), ("c", "out", -1.0), ("d", "out", float("nan"))]
    moved = [{**spent, "event_id": key, "direction": way, "amount": amount} for key, way, amount in amounts]
    deliveries.avro("bank.transactions", LAST, moved)


def product_events() -> Sequence[Mapping[str, Any]]:
    steps = [
        ("a", 2, "loan_cash", "closed", 10),
        ("b", 3, "card_debit", "opened", 11),
        ("b", 3, "card_debit", "opened", 11),
    ]
    late = ("c", 3, "card_debit", "opened", 30)
    names = ("event_id", "user_id", "product_id", "event_type", "event_time")
    return [dict(zip(names, step, strict=True)) for step in (*steps, late)]


def telemetry(event_id: str, event_type: str, **told: str) -> Mapping[str, Any]:
    own = {"screen": None, "query": None, "product_id": "", **told}
    return {"event_id": event_id, "event_time": 9, "user_id": 1, "session_id": "s", "event_type": event_type, **own}


def test_every_spelling_of_an_action_becomes_one_word(ingested: Ingested) -> None:
    actions = [row["action"] for row in ingested.rows("silver.interactions", domain="retail")]
    assert sorted(actions) == ["cart", "cart", "purchase"]


def test_a_row_said_twice_is_kept_once(ingested: Ingested) -> None:
    rows = ingested.rows("silver.interactions", domain="marketplace", day=FIRST)
    assert [row["action"] for row in rows] == ["click", "view"]


def test_an_offset_is_wall_time_of_the_bank(ingested: Ingested) -> None:
    (row,) = ingested.rows("silver.interactions", item_id="nfmcg_2")
    assert row["event_time"] == datetime(2026, 3, 15, 20, 30)  # 23:30 in Moscow
    assert row["day"] == LAST


def test_bad_rows_go_to_quarantine_with_a_reason_and_are_counted(ingested: Ingested) -> None:
    assert ingested.quarantined("marketplace_events") == {
        "unknown action_type": 1,
        "timestamp is outside the day of its file": 2,
        "user_id is null or out of range": 2,
    }
    assert ingested.quarantined("transactions") == {"amount is out of range": 1, "amount is null or out of range": 1}
    assert ingested.quarantined("product_events") == {"event_time is outside the day of its folder": 1}
    assert ingested.quarantined("brands") == {
        "embedding has not 300 numbers": 1,
        "embedding is not finite": 1,
        "brand_id is null or out of range": 1,
    }
    assert ingested.quarantined("offers_items") == {"embedding has not 312 numbers": 1}
    assert ingested.report.tables["bronze.deliveries"].quarantined == 13
    (entry,) = ingested.rows("bronze.deliveries", source="marketplace_events", day=LAST)
    assert (entry["rows"], entry["quarantined"]) == (6, 5)


def test_a_brand_has_one_clean_embedding(ingested: Ingested) -> None:
    (row,) = ingested.rows("silver.brands")
    assert (row["brand_id"], len(row["embedding"]), set(row["embedding"])) == (5, 300, {0.5})


def test_embeddings_of_every_domain_reach_the_items(ingested: Ingested) -> None:
    widths = {row["item_id"]: len(row["embedding"] or ()) for row in ingested.rows("silver.items")}
    shop = {"nfmcg_0": 300, "nfmcg_1": 0, "nfmcg_2": 0}
    assert widths == {**shop, "offer_0": 312, "offer_1": 0, "offer_2": 0}


def test_bronze_keeps_what_was_delivered(ingested: Ingested) -> None:
    assert len(ingested.rows("bronze.marketplace_events")) == 9


def test_payments_without_a_brand_are_kept(ingested: Ingested) -> None:
    rows = ingested.rows("silver.interactions", domain="payments")
    assert sorted((row["item_id"], row["weight"]) for row in rows) == [
        ("brand:5", 10.5),
        ("brand:unknown", 0.0),
        ("brand:unknown", 3.0),
    ]


def test_only_money_that_goes_out_is_behaviour(ingested: Ingested) -> None:
    rows = ingested.rows("silver.interactions", domain="transactions")
    assert [(row["item_id"], row["weight"]) for row in rows] == [("mcc:fuel", 70.0)]


def test_telemetry_says_what_it_was_about(ingested: Ingested) -> None:
    rows = ingested.rows("silver.interactions", domain="telemetry")
    assert sorted((row["action"], row["item_id"]) for row in rows) == [
        ("search", "search:ипотека"),
        ("view", "loan_cash"),
        ("view", "screen:main"),
    ]


def test_customers_are_told_by_the_exports_up_to_the_as_of(ingested: Ingested) -> None:
    assert [(row["user_id"], row["valid_from"], row["valid_to"]) for row in ingested.rows("silver.customers")] == [
        (1, AS_OF - timedelta(days=9), None),
        (2, FIRST, None),
    ]


def test_a_user_who_is_no_customer_is_kept(ingested: Ingested) -> None:
    assert {row["user_id"] for row in ingested.rows("silver.interactions")} == {1, 2, 9}


def test_holdings_follow_the_product_events_after_the_export(ingested: Ingested) -> None:
    held = {(row["user_id"], row["product_id"]): row for row in ingested.rows("silver.holdings")}
    assert held[1, "card_debit"]["closed_on"] is None
    assert held[2, "loan_cash"]["closed_on"] == LAST
    assert held[3, "card_debit"]["opened_on"] == LAST
    assert len(held) == 3


def test_an_event_that_was_landed_twice_is_one_event(ingested: Ingested) -> None:
    assert [row["event_id"] for row in ingested.rows("silver.product_events")] == ["a", "b"]


def test_people_and_reference_are_one_row_each(ingested: Ingested) -> None:
    assert [(row["user_id"], row["socdem_cluster"]) for row in ingested.rows("silver.people")] == [(1, 3), (2, None)]
    assert [row["version"] for row in ingested.rows("silver.catalogue")] == ["1"]


def test_an_empty_day_is_a_warning_and_the_night_goes_on(ingested: Ingested) -> None:
    assert f"marketplace_events: no rows in {EMPTY}" in ingested.report.warnings


def test_days_from_the_as_of_on_are_not_read(ingested: Ingested) -> None:
    days = [row["day"] for row in ingested.rows("bronze.deliveries") if row["day"]]
    assert max(days) == LAST


def test_a_second_run_reads_nothing_and_changes_nothing(ingested: Ingested) -> None:
    before = {name: ingested.rows(name) for name in ("silver.interactions", "silver.holdings", "bronze.deliveries")}
    again = run(ingested.spark, ingested.deliveries.params())
    assert again.tables["bronze.deliveries"].rows == 0
    assert {name: ingested.rows(name) for name in before} == before
    assert _fingerprints(again) == _fingerprints(ingested.report)


@dataclass(frozen=True)
class Corrected:
    """What interactions were before, and at which version; what the job says after."""

    before: Sequence[Mapping[str, Any]]
    version: int
    report: JobReport


@pytest.fixture(scope="module")
def corrected(ingested: Ingested) -> Corrected:
    """A day is delivered again with other rows, one comes late, and of one day an event was another user's."""
    before = ingested.rows("silver.interactions")
    version = newest_version(table_uri(ingested.deliveries.params().lake, "silver.interactions")) or 0
    same_and_new = [(1, 1, "nfmcg_1", "view"), (4, 5, "nfmcg_9", "view")]
    os.utime(ingested.deliveries.marketplace(FIRST, same_and_new), (1, 1))
    ingested.deliveries.marketplace(LATE, [(4, 5, "nfmcg_9", "view")])
    steps = [{**step, "user_id": 7} if step["event_id"] == "a" else step for step in product_events()]
    ingested.deliveries.avro("bank.product_events", LAST, steps)
    return Corrected(before, version, run(ingested.spark, ingested.deliveries.params()))


def test_a_day_delivered_again_replaces_that_day_alone(ingested: Ingested, corrected: Corrected) -> None:
    report = corrected.report
    told = (
        f"marketplace_events: {LATE} came late, with 1 rows",
        f"marketplace_events: {FIRST} was delivered again: 3 rows before, 2 now (1 added, 2 removed, 0 changed)",
        f"product_events: {LAST} was delivered again: 4 rows before, 4 now (0 added, 0 removed, 1 changed)",
    )
    assert tuple(line for line in report.warnings if "late" in line or "again" in line) == told
    listed = report.tables["bronze.deliveries"].details["corrected"]
    assert [(one["day"], one["before"], one["after"]) for one in listed if one["added"] == 1] == [(str(FIRST), 3, 2)]
    now = ingested.rows("silver.interactions", day=FIRST)
    assert sorted(row["item_id"] for row in now) == ["nfmcg_1", "nfmcg_9"]
    others = [row for row in ingested.rows("silver.interactions") if row["day"] not in (FIRST, LATE)]
    assert others == [row for row in corrected.before if row["day"] != FIRST]
    assert {row["day"] for row in others} == {LAST}
    old, new = _fingerprints(ingested.report), _fingerprints(report)
    changed = {"bronze.deliveries", "silver.interactions", "silver.product_events", "silver.holdings"}
    assert {name for name in new if new[name] != old[name]} == changed


def test_a_table_reports_what_was_read_for_it_and_what_was_kept_out_and_why(ingested: Ingested) -> None:
    table = ingested.report.tables["silver.interactions"]
    assert table.rows < (table.read or 0)
    assert table.quarantined == sum(table.reasons.values()) > 0
    assert table.reasons["marketplace_events: unknown action_type"] == 1


def _fingerprints(report: JobReport) -> dict[str, str | None]:
    """What each table's content stands for; every table of an ingest has one."""
    found = {name: table.fingerprint for name, table in report.tables.items()}
    assert all(found.values())
    return found


def test_whoever_adds_up_days_is_told_the_first_that_changed(ingested: Ingested, corrected: Corrected) -> None:
    uri = table_uri(ingested.deliveries.params().lake, "silver.interactions")
    assert first_changed_day(uri, after=newest_version(uri) or 0) is None
    assert first_changed_day(uri, after=corrected.version) == LATE
    assert changed_days(uri, after=corrected.version) == (LATE, FIRST)
    assert {FIRST, EMPTY, LAST} <= {*(changed_days(uri, after=-1) or ())}
    assert first_changed_day(uri, after=-2) == date.min  # version -1 is not in the log


def test_a_broken_delivery_leaves_yesterdays_lake_as_it_is(ingested: Ingested) -> None:
    before = ingested.rows("silver.interactions")
    ingested.deliveries.parquet("tecd/offers/events/01296.pq", {"user_id": pa.array([1], pa.uint64())})
    with pytest.raises(InputError, match="offers_events"):
        run(ingested.spark, ingested.deliveries.params())
    assert ingested.rows("silver.interactions") == before


def test_pages_broken_behind_a_good_footer_are_an_input_error(ingested: Ingested) -> None:
    file = ingested.deliveries.marketplace(
        LAST, [(n / 100, n, f"nfmcg_{n}", "view") for n in range(500)], domain="retail"
    )
    content = bytearray(file.read_bytes())
    content[100:3000] = bytes(2900)
    file.write_bytes(content)
    (ingested.deliveries.root / "tecd/offers/events/01296.pq").unlink(missing_ok=True)
    with pytest.raises(InputError, match=r"retail/events/01296.pq: cannot be read \(contract bronze.retail_events"):
        run(ingested.spark, ingested.deliveries.params())
