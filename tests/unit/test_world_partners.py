"""The sample world's T-ECD: layout and types as published, and the warts of the real thing."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts.vocabulary import ACTION_SPELLINGS, NO_TRANSACTION_HASH
from tests.unit.world_samples import DAYS, USERS, make, partner_rows


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("world") / "sample"
    make(out, users=USERS, days=DAYS)
    return out


STRING, IDS, TIME = pa.large_string(), pa.uint64(), pa.duration("us")
VECTOR = pa.list_(pa.float32())
SHOP_EVENTS = {
    "timestamp": TIME, "user_id": IDS, "item_id": STRING, "subdomain": STRING, "action_type": STRING, "os": STRING,
}  # fmt: skip
SHOP_ITEMS = {
    "item_id": STRING, "brand_id": IDS, "category": STRING, "subcategory": STRING, "price": pa.float64(),
    "embedding": VECTOR,
}  # fmt: skip
PUBLISHED = {
    "marketplace/events/01290.pq": SHOP_EVENTS,
    "retail/events/01289.pq": SHOP_EVENTS,
    "offers/events/01290.pq": {"timestamp": TIME, "user_id": IDS, "item_id": STRING, "action_type": STRING},
    "reviews/01290.pq": {"timestamp": TIME, "user_id": IDS, "brand_id": IDS, "rating": pa.uint8(), "embedding": VECTOR},
    "payments/events/01290.pq": {
        "timestamp": TIME, "user_id": IDS, "brand_id": IDS, "price": pa.float64(), "transaction_hash": STRING,
    },
    "payments/receipts/01290.pq": {
        "timestamp": TIME, "user_id": IDS, "brand_id": IDS, "approximate_item_id": STRING, "count": pa.float64(),
        "price": pa.float64(), "transaction_hash": STRING,
    },
    "users.pq": {"user_id": IDS, "socdem_cluster": pa.uint8(), "region": pa.uint8()},
    "brands.pq": {"brand_id": IDS, "embedding": VECTOR},
    "marketplace/items.pq": SHOP_ITEMS,
    "retail/items.pq": SHOP_ITEMS,
    "offers/items.pq": {"item_id": STRING, "brand_id": IDS, "embedding": VECTOR},
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_partner_tables_have_the_published_types(world: Path, name: str) -> None:
    schema = pq.read_schema(world / "tecd" / name)
    assert {field.name: field.type for field in schema} == PUBLISHED[name]


def test_day_files_are_numbered_by_the_day_of_their_rows(world: Path) -> None:
    paths = sorted((world / "tecd/marketplace/events").glob("*.pq"))
    assert [path.name for path in paths] == [f"{number:05d}.pq" for number in range(1285, 1297)]
    for path in paths:
        assert set(pq.read_table(path).to_pandas().timestamp.dt.days) == {int(path.stem)}


def test_users_span_domains_and_ids_have_their_prefixes(world: Path) -> None:
    people = set(pq.read_table(world / "tecd/users.pq")["user_id"].to_pylist())
    for name, prefix in (("marketplace", "nfmcg_"), ("retail", "fmcg_"), ("offers", "offer_")):
        rows = partner_rows(world, f"{name}/events")
        items = pq.read_table(world / f"tecd/{name}/items.pq")["item_id"].to_pylist()
        assert len(items) == len(set(items))
        assert set(rows.item_id) <= set(items)
        assert rows.item_id.str.match(rf"{prefix}\d+$").all()
        assert set(rows.user_id) <= people
    assert 240 <= len(items) <= 2000


def test_both_spellings_of_actions_are_about_and_all_are_known(world: Path) -> None:
    retail = set(partner_rows(world, "retail/events").action_type)
    offers = set(partner_rows(world, "offers/events").action_type)
    assert {"added-to-cart", "added_to_cart", "order"} <= retail
    assert {"seen", "offer_shown", "view", "click", "clickout", "redirect_to_partner"} <= offers
    assert retail | offers | set(partner_rows(world, "marketplace/events").action_type) <= set(ACTION_SPELLINGS)


def test_one_day_file_is_empty_and_one_day_is_missing(world: Path) -> None:
    rows = {path.stem: pq.read_metadata(path).num_rows for path in (world / "tecd/retail/events").glob("*.pq")}
    assert [day for day, count in rows.items() if count == 0] == ["01291"]
    for name in ("events", "receipts"):
        assert not (world / f"tecd/payments/{name}/01289.pq").exists()
        assert len(list((world / f"tecd/payments/{name}").glob("*.pq"))) == DAYS - 1


def test_rows_repeat_and_values_are_missing_as_in_the_real_thing(world: Path) -> None:
    shop = partner_rows(world, "marketplace/events")
    assert shop.duplicated().any()
    assert 0.1 < shop.duplicated(["user_id", "item_id", "action_type"]).mean() < 0.5
    assert shop.os.isna().any()
    assert shop[shop.action_type == "like"].subdomain.isna().all()
    assert not shop[shop.action_type != "like"].subdomain.isna().any()
    items = pq.read_table(world / "tecd/marketplace/items.pq").to_pandas()
    assert 0.4 < items.subcategory.isna().mean() < 0.6
    assert items.price.between(-10, 10).all()
    people = pq.read_table(world / "tecd/users.pq").to_pandas()
    assert people.region.isna().any()
    assert people.socdem_cluster.max() <= 21


def test_brands_come_twice_without_and_with_empty_embeddings(world: Path) -> None:
    brands = pq.read_table(world / "tecd/brands.pq").to_pylist()
    ids = [row["brand_id"] for row in brands]
    lengths = {None if row["embedding"] is None else len(row["embedding"]) for row in brands}
    assert len(set(ids)) < len(ids)
    assert lengths == {None, 0, 300}


def test_receipts_belong_to_payments_or_to_none(world: Path) -> None:
    payments, receipts = partner_rows(world, "payments/events"), partner_rows(world, "payments/receipts")
    loose = receipts.transaction_hash == NO_TRANSACTION_HASH
    assert 0.1 < loose.mean() < 0.3
    assert set(receipts[~loose].transaction_hash) <= set(payments.transaction_hash)
    assert payments.transaction_hash.str.fullmatch("[0-9a-f]{16}").all()
    assert 0.4 < payments.brand_id.isna().mean() < 0.6
    assert 0.75 < receipts.brand_id.isna().mean() < 0.95
