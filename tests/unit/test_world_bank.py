"""What the sample world's bank records: exports, events, reference data, and the truth beside them."""

import json
from datetime import date, timedelta
from pathlib import Path

import fastavro
import pandas as pd
import pyarrow.parquet as pq
import pytest

from data_contracts.catalogue import Catalogue, Reasons, Rules, check_references
from data_contracts.tables import contract
from data_contracts.vocabulary import Family
from infra.local.world.avro import schema
from tests.unit.world_samples import DAYS, FIRST_DAY, MOSCOW, USERS, D, events, export, make, partner_rows, reference


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("world") / "sample"
    make(out, users=USERS, days=DAYS)
    return out


def test_exports_come_weekly_and_on_the_last_date(world: Path) -> None:
    for name in ("customers", "holdings", "aggregates"):
        dates = sorted(path.name for path in (world / "dwh" / name).iterdir())
        assert dates == ["dt=2026-03-04", "dt=2026-03-11", "dt=2026-03-16"]


@pytest.mark.parametrize("name", ["customers", "holdings", "aggregates"])
def test_exports_keep_the_contract_of_their_table(world: Path, name: str) -> None:
    promised = contract(f"bronze.{name}")
    delivered = export(world, name)
    columns = [column for column in promised.columns if column.name not in ("day", "rejected")]
    assert delivered.column_names == [column.name for column in columns]
    for column in columns:
        values = delivered[column.name].to_pandas()
        assert column.nullable or values.notna().all()
        known = values.dropna()
        assert column.values is None or set(known) <= set(column.values)
        assert column.min is None or (known >= column.min).all()
        assert column.max is None or (known <= column.max).all()
    keys = delivered.select([name for name in promised.key if name != "day"]).to_pandas()
    assert len(keys) > 100
    assert not keys.duplicated().any()


def test_some_users_are_no_customers_and_some_customers_no_partner_users(world: Path) -> None:
    customers = set(export(world, "customers")["user_id"].to_pylist())
    partners = set(pq.read_table(world / "tecd/users.pq")["user_id"].to_pylist())
    assert customers - partners
    assert partners - customers


def test_months_keep_their_figures_from_export_to_export(world: Path) -> None:
    first = export(world, "aggregates", date(2026, 3, 4)).to_pandas().set_index(["user_id", "month"])
    last = export(world, "aggregates").to_pandas().set_index(["user_id", "month"])
    both = first.join(last, rsuffix="_later", how="inner")
    assert len(both) > 500
    assert (both.turnover == both.turnover_later).all()
    assert max(month for _, month in last.index) == date(2026, 2, 1)


def test_an_export_of_holdings_tells_nothing_of_its_own_date(world: Path) -> None:
    for day in (date(2026, 3, 4), date(2026, 3, 11), D):
        held = export(world, "holdings", day).to_pandas()
        assert (held.opened_on < day).all()
        assert (held.closed_on.dropna() < day).all()
        assert (held.closed_on.dropna() >= held.opened_on[held.closed_on.notna()]).all()


def test_holdings_agree_with_the_events_of_products(world: Path) -> None:
    held = export(world, "holdings").to_pandas()
    first = FIRST_DAY
    rows = [record for _, record in events(world, "bank.product_events")]
    steps = {(r["user_id"], r["product_id"], r["event_type"]): r["event_time"] for r in rows}
    opened = {(r.user_id, r.product_id): r.opened_on for r in held.itertuples() if r.opened_on >= first}
    told = {key[:2]: when.astimezone(MOSCOW).date() for key, when in steps.items() if key[2] == "opened"}
    assert opened == told
    assert len(opened) > 5
    for user, product in opened:
        assert steps[user, product, "applied"] < steps[user, product, "approved"] < steps[user, product, "opened"]


TOPICS = ("bank.transactions", "bank.product_events", "campaign.interactions", "digital.telemetry")


@pytest.mark.parametrize("topic", TOPICS)
def test_events_lie_in_the_folder_of_their_local_hour(world: Path, topic: str) -> None:
    seen = 0
    for path, record in events(world, topic):
        moment = record["event_time"].astimezone(MOSCOW)
        assert path.parts[-3:-1] == (moment.date().isoformat(), f"{moment.hour:02d}")
        assert FIRST_DAY <= moment.date() < D
        seen += 1
    assert seen > 20


@pytest.mark.parametrize("topic", TOPICS)
def test_an_event_delivered_twice_is_the_same_event(world: Path, topic: str) -> None:
    by_id: dict[str, dict] = {}
    for _, record in events(world, topic):
        assert by_id.setdefault(record["event_id"], record) == record


@pytest.mark.parametrize("topic", TOPICS)
def test_the_schema_in_a_file_has_one_order_of_keys(topic: str) -> None:
    """Left to fastavro it would change from process to process."""
    written = json.dumps(schema(topic))
    assert written == json.dumps(schema(topic), sort_keys=True)


@pytest.mark.parametrize("topic", TOPICS)
def test_events_keep_the_contract_of_their_values(world: Path, topic: str) -> None:
    path = next((world / "events" / topic).rglob("*.avro"))
    with path.open("rb") as file:
        fields = {field["name"]: field for field in fastavro.reader(file).writer_schema["fields"]}
    for _, record in events(world, topic):
        for name, field in fields.items():
            assert "values" not in field or record[name] in field["values"]


def test_the_held_out_are_shown_nothing(world: Path) -> None:
    rows = [record for _, record in events(world, "campaign.interactions")]
    held_out = {(r["user_id"], r["campaign_id"]) for r in rows if r["event_type"] == "held_out"}
    others = {(r["user_id"], r["campaign_id"]) for r in rows if r["event_type"] != "held_out"}
    assert held_out
    assert not held_out & others


def test_money_moves_in_on_pay_days_and_out_by_category(world: Path) -> None:
    rows = pd.DataFrame(record for _, record in events(world, "bank.transactions"))
    assert set(rows.direction) == {"in", "out"}
    assert (rows.amount > 0).all()
    assert rows.category.str.startswith("mcc:").all()
    assert set(rows[rows.direction == "in"].category) == {"mcc:income"}


def test_a_record_of_the_app_says_one_thing(world: Path) -> None:
    said = {"screen": "screen", "search": "query", "product_view": "product_id"}
    for _, record in events(world, "digital.telemetry"):
        for kind, column in said.items():
            assert (record[column] is not None) == (record["event_type"] == kind)


def test_reference_data_are_valid_and_rich(world: Path) -> None:
    catalogue = Catalogue.model_validate(reference(world, "catalogue"))
    rules = Rules.model_validate(reference(world, "rules"))
    reasons = Reasons.model_validate(reference(world, "reasons"))
    check_references(catalogue, rules)
    assert len(catalogue.products) >= 40
    assert {product.family for product in catalogue.products} == set(Family)
    assert rules.prohibitions
    assert rules.prerequisites
    assert any(p.on_sale_to and p.on_sale_to < D for p in catalogue.products)
    assert any(p.on_sale_from and p.on_sale_from > D for p in catalogue.products)
    safe = {p.product_id for p in catalogue.products if p.safe_for_anyone}
    assert safe >= set(rules.static_popular)
    assert 12 <= len(reasons.reasons) <= 20
    prefixes = [prefix for reason in reasons.reasons for prefix in reason.prefixes]
    assert len(prefixes) == len(set(prefixes))


def test_safe_products_ask_nothing_of_anyone(world: Path) -> None:
    rules = Rules.model_validate(reference(world, "rules"))
    for product in Catalogue.model_validate(reference(world, "catalogue")).products:
        if product.safe_for_anyone:
            assert product.eligibility.model_dump(exclude_none=True) == {}
            assert product.product_id not in {rule.product_id for rule in rules.prerequisites}


def test_the_truth_speaks_of_customers_and_what_they_do_not_hold(world: Path) -> None:
    truth = pq.read_table(world / "truth/product_probability.parquet").to_pandas()
    customers = set(export(world, "customers")["user_id"].to_pylist())
    held = export(world, "holdings").to_pandas()
    now = {(r.user_id, r.product_id) for r in held[held.closed_on.isna()].itertuples()}
    pairs = list(zip(truth.user_id, truth.product_id, strict=True))
    assert len(set(pairs)) == len(pairs)
    assert set(truth.user_id) <= customers
    assert not set(pairs) & now
    assert truth.probability.between(0, 1).all()
    assert 0.001 < truth.probability.mean() < 0.05
    products = reference(world, "catalogue")["products"]
    withdrawn = {product["product_id"] for product in products if product.get("on_sale_to", "9") < str(D)}
    assert withdrawn
    assert not withdrawn & set(truth.product_id)


def test_rows_are_counted_as_written(world: Path) -> None:
    rows = json.loads((world / "world.json").read_text())["rows"]
    assert rows["tecd/marketplace/events"] == len(partner_rows(world, "marketplace/events"))
    assert rows["events/digital.telemetry"] == sum(1 for _ in events(world, "digital.telemetry"))
    assert rows["truth/product_probability"] == pq.read_metadata(world / "truth/product_probability.parquet").num_rows


def test_the_first_day_is_so_many_days_before_the_last_date(tmp_path: Path) -> None:
    summary = make(tmp_path / "w", days=5)
    assert summary.first_day == D - timedelta(days=5)
    assert json.loads((tmp_path / "w/world.json").read_text())["first_day"] == summary.first_day.isoformat()
