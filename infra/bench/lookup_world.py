"""The world of `recs bench lookup`: a published snapshot of many users whose lists, rules and states are lifelike."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data_contracts.catalogue import Catalogue, Eligibility, LocalText, Product, Prohibition, ReasonCode, Reasons, Rules
from data_contracts.checksums import counts_of
from data_contracts.manifest import MANIFEST_FILE, GateVerdict, Manifest
from data_contracts.night import parse_snapshot_id
from data_contracts.vocabulary import Channel, Employment, Family
from sql.client import Address, Store, connected
from sql.load import load
from sql.migrate import migrate
from sql.pointer import publish
from sql.rules import put_rule_set
from sql.verify import verify

SNAPSHOT = "2026-03-15.1"
_PRODUCTS, _OFFERS, _SEGMENTS, _K = 60, 100_000, 20, 20
_POOL = 100_000  # users kept of each product
_ROW_GROUP = 65_536


def publish_world(address: Address, folder: Path, *, users: int, seed: int = 7) -> NDArray[np.int64]:
    """Make, load, verify and publish it. Returns the user ids."""
    user_ids = write_world(folder, users=users, seed=seed)
    migrate(address)
    with connected(address) as store:
        approve_rules(store)
        verify(store, load(store, snapshot_uri=str(folder)))
        publish(store, SNAPSHOT, actor="bench")
    return user_ids


def write_world(folder: Path, *, users: int, seed: int = 7, snapshot_id: str = SNAPSHOT) -> NDArray[np.int64]:
    """Its snapshot as the night writes it. Returns the user ids."""
    random = np.random.default_rng(seed)
    user_ids = np.arange(users, dtype=np.int64) * 37 + 11
    lists = _lists(random, users, {"user_id": user_ids, "variant": ["personal"] * users})
    tables = {
        "lists": lists,
        "audience_pool": _pool(lists),
        "fallback_lists": _lists(random, _SEGMENTS + 1, _tiers()),
        "user_state": _user_state(random, user_ids),
        "items": _items(),
        "portraits": _portraits(),
    }
    for name, table in tables.items():
        (folder / name).mkdir(parents=True)
        pq.write_table(table, folder / name / "part-00000.parquet", row_group_size=_ROW_GROUP)
    (folder / MANIFEST_FILE).write_text(_manifest(tables, snapshot_id).to_json(), encoding="utf-8")
    return user_ids


def approve_rules(store: Store) -> None:
    put_rule_set(store, catalogue=_catalogue(), rules=_rules(), reasons=_reasons(), actor="bench")


def _manifest(tables: dict[str, pa.Table], snapshot_id: str) -> Manifest:
    as_of, _ = parse_snapshot_id(snapshot_id)
    midnight = datetime(as_of.year, as_of.month, as_of.day, tzinfo=UTC)
    return Manifest(
        snapshot_id=snapshot_id,
        as_of=as_of,
        cut_off=midnight,
        created_at=midnight,
        tables={name: counts_of(table.to_batches(_ROW_GROUP), table=name) for name, table in tables.items()},
        gate=GateVerdict(passed=True),
    )


def _catalogue() -> Catalogue:
    families, channels = tuple(Family), tuple(Channel)
    products = [
        Product(
            product_id=_product_id(number),
            family=families[number % len(families)],
            name=LocalText(en=f"Product {number}", ru=f"Продукт {number}"),
            value=1000,
            channels=channels if number % 4 else channels[:2],
            eligibility=Eligibility(min_age=21, max_score_band=4) if number % 3 == 0 else Eligibility(),
            safe_for_anyone=number % 3 == 1,
        )
        for number in range(_PRODUCTS)
    ]
    return Catalogue(version="bench", products=tuple(products))


def _rules() -> Rules:
    pairs = [(_product_id(number), _product_id(number + 10)) for number in range(8)]
    return Rules(
        version="bench",
        prohibitions=tuple(Prohibition(left=left, right=right, why="a bench") for left, right in pairs),
        default_family_cap=2,
        static_popular=tuple(_product_id(number) for number in range(1, 20)),
    )


def _reasons() -> Reasons:
    texts = [LocalText(en=f"Reason {code}", ru=f"Причина {code}") for code in range(1, 20)]
    coded = [ReasonCode(code=code, name=f"reason_{code}", text=text) for code, text in enumerate(texts, start=1)]
    return Reasons(version="bench", reasons=tuple(coded))


def _product_id(number: int) -> str:
    return f"product_{number:02}"


def _tiers() -> dict[str, pa.Array]:
    return {
        "tier": ["popular"] + ["segment"] * _SEGMENTS,
        "segment": pa.array(range(_SEGMENTS + 1), pa.int16()),
    }


def _lists(random: np.random.Generator, rows: int, keys: dict[str, pa.Array]) -> pa.Table:
    # Ranked by tastes that rows share, so that popular products come first more often.
    taste = random.random((rows, _PRODUCTS), dtype=np.float32) + np.linspace(1, 0, _PRODUCTS, dtype=np.float32)
    products = np.argsort(-taste, axis=1)[:, :_K].astype(np.int32)
    first_offer = (random.random(rows) ** 2 * (_OFFERS - 97 * _K)).astype(np.int32)
    offers = _PRODUCTS + first_offer[:, None] + 97 * np.arange(_K, dtype=np.int32)
    columns = dict(keys)
    for kind, items in (("product", products), ("offer", offers)):
        scores = -np.sort(-random.integers(8_000, 40_000, items.shape), axis=1).astype(np.uint16)
        reasons = (random.integers(1, 20, items.shape) + 256 * random.integers(0, 20, items.shape)).astype(np.uint16)
        for name, values in (("items", items), ("scores", scores), ("reasons", reasons)):
            columns[f"{kind}_{name}"] = _array(values.ravel(), np.full(rows, _K))
    return pa.table(columns)


def _pool(lists: pa.Table) -> pa.Table:
    """Of each product the best of those whose lists have it."""
    items, scores = (lists[f"product_{name}"].combine_chunks().flatten().to_numpy() for name in ("items", "scores"))
    best = []
    for item in range(_PRODUCTS):
        rows = np.flatnonzero(items == item)
        best.append(np.sort((65_535 - scores[rows].astype(np.int64)) << 32 | rows)[:_POOL] & 0xFFFFFFFF)
    rows = np.concatenate(best)
    return pa.table(
        {
            "variant": ["personal"] * len(rows),
            "item": items[rows],
            "shortfall": (65_535 - scores[rows]).astype(np.uint16),
            "user_id": lists["user_id"].to_numpy()[rows // _K],
            "score": scores[rows],
        }
    )


def _array(values: NDArray[Any], lengths: NDArray[Any]) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))


def _user_state(random: np.random.Generator, user_ids: NDArray[np.int64]) -> pa.Table:
    users = len(user_ids)
    held = random.integers(0, 4, users)
    return pa.table(
        {
            "user_id": user_ids,
            "segment": random.integers(1, _SEGMENTS + 1, users).astype(np.int16),
            "holdings": _array(random.integers(0, _PRODUCTS, held.sum()).astype(np.int32), held),
            "birth_year": random.integers(1940, 2008, users).astype(np.int16),
            "region": random.integers(-1, 91, users).astype(np.int16),
            "income_band": random.integers(-1, 5, users).astype(np.int8),
            "employment": random.choice(list(Employment), users).tolist(),
            "score_band": random.integers(0, 6, users).astype(np.int8),
            "arrears_days": np.zeros(users, np.int16),
            "consents": np.full(users, 31, np.uint8),
        }
    )


def _items() -> pa.Table:
    families = tuple(Family)
    offers = [f"offer_{number:06}" for number in range(_OFFERS)]
    return pa.table(
        {
            "item_code": pa.array(range(_PRODUCTS + _OFFERS), pa.int32()),
            "item_id": [*map(_product_id, range(_PRODUCTS)), *offers],
            "kind": ["product"] * _PRODUCTS + ["offer"] * _OFFERS,
            "family": [families[number % len(families)].value for number in range(_PRODUCTS)] + [""] * _OFFERS,
            "name_en": [f"Item {number}" for number in range(_PRODUCTS + _OFFERS)],
            "name_ru": [f"Товар {number}" for number in range(_PRODUCTS + _OFFERS)],
        }
    )


def _portraits() -> pa.Table:
    return pa.table(
        {
            "product_id": [_product_id(0)],
            "feature": ["f_age"],
            "holders": pa.array([1], pa.int64()),
            "holders_mean": pa.array([40.0], pa.float32()),
            "everyone_mean": pa.array([38.0], pa.float32()),
        }
    )
