"""The tiny world of `day_world` as snapshots in a real ClickHouse."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from api.store import FallbackLists, Lists, UserState
from data_contracts.vocabulary import Kind, Variant
from sql.client import Address, Store, connected
from sql.load import load
from sql.migrate import migrate
from sql.pointer import publish
from sql.rules import put_rule_set
from sql.verify import verify
from tests.day_world import CATALOGUE, FALLBACK, LISTS, REASONS, RULES, STATES, items_table
from tests.sql.snapshots import write_manifest

_ARRAYS = [
    (f"{kind}_{name}", pa.list_(type_))
    for kind in ("product", "offer")
    for name, type_ in (("items", pa.int32()), ("scores", pa.uint16()), ("reasons", pa.uint16()))
]
_LISTS = pa.schema([("user_id", pa.int64()), ("variant", pa.string()), *_ARRAYS])
_FALLBACK = pa.schema([("tier", pa.string()), ("segment", pa.int16()), *_ARRAYS])
_STATE = pa.schema(
    [
        ("user_id", pa.int64()),
        ("segment", pa.int16()),
        ("holdings", pa.list_(pa.int32())),
        ("birth_year", pa.int16()),
        ("region", pa.int16()),
        ("income_band", pa.int8()),
        ("employment", pa.string()),
        ("score_band", pa.int8()),
        ("arrears_days", pa.int16()),
        ("consents", pa.uint8()),
    ]
)
_POOL = pa.schema(
    [
        ("variant", pa.string()),
        ("item", pa.int32()),
        ("shortfall", pa.uint16()),
        ("user_id", pa.int64()),
        ("score", pa.uint16()),
    ]
)
_PORTRAITS = pa.schema(
    [
        ("product_id", pa.string()),
        ("feature", pa.string()),
        ("holders", pa.int64()),
        ("holders_mean", pa.float32()),
        ("everyone_mean", pa.float32()),
    ]
)


@dataclass(frozen=True)
class Reached:
    """A user whom an audience of an item may have; ranked by what the variant goes by, as stored."""

    item: int
    user_id: int
    score: int
    rank: int
    variant: str = Variant.PERSONAL.value


def load_snapshot(
    store: Store,
    folder: Path,
    *,
    snapshot_id: str,
    lists: Mapping[int, Lists] = LISTS,
    states: Mapping[int, UserState] = STATES,
    fallback: FallbackLists = FALLBACK,
    beyond: Iterable[Reached] = (),
) -> None:
    """Write the snapshot below `folder`, load and verify it; the pointer is left to the test.

    The best users of products are those whose lists have them, and those of `beyond`.
    """
    reached = sorted({*_listed(lists), *beyond}, key=lambda one: (one.variant, one.item, -one.rank, one.user_id))
    tables = {
        "lists": _table(
            _LISTS,
            [
                {"user_id": user, "variant": variant, **_row(one)}
                for user, own in lists.items()
                for variant, one in {"personal": own, **own.variants}.items()
            ],
        ),
        "audience_pool": _table(_POOL, [vars(one) | {"shortfall": 65_535 - one.rank} for one in reached]),
        "fallback_lists": _table(
            _FALLBACK,
            [
                {"tier": "popular", "segment": 0, **_row(fallback.popular)},
                *({"tier": "segment", "segment": key, **_row(one)} for key, one in fallback.segments.items()),
            ],
        ),
        "user_state": states_table(states),
        "items": items_table().add_column(0, "item_code", pa.array(range(items_table().num_rows), pa.int32())),
        "portraits": _table(_PORTRAITS, [{"product_id": "card_gold", "feature": "f_spend", "holders": 0}]),
    }
    for name, table in tables.items():
        (folder / name).mkdir(parents=True)
        pq.write_table(table, folder / name / "part-00000.parquet")
    write_manifest(folder, snapshot_id=snapshot_id)
    verify(store, load(store, snapshot_uri=str(folder)))


def serve(address: Address, folders: pytest.TempPathFactory, *snapshot_ids: str, current: str) -> None:
    """Make the database, with the day's catalogue and rules, and these snapshots, one of which is served."""
    migrate(address)
    with connected(address) as store:
        put_rule_set(store, catalogue=CATALOGUE, rules=RULES, reasons=REASONS, actor="test")
        for snapshot_id in snapshot_ids:
            load_snapshot(store, folders.mktemp("snapshot"), snapshot_id=snapshot_id)
        publish(store, current, actor="test")


def _listed(lists: Mapping[int, Lists]) -> Iterator[Reached]:
    for user_id, own in lists.items():
        for variant, one in {Variant.PERSONAL: own, **own.variants}.items():
            for item, score in zip(one.products.items, one.products.scores, strict=True):
                yield Reached(int(item), user_id, int(score), int(score), variant.value)


def states_table(states: Mapping[int, UserState]) -> pa.Table:
    return _table(_STATE, [{"user_id": user, **vars(state)} for user, state in states.items()])


def arrays_of(lists: Mapping[int, Lists], kind: Kind) -> pa.Table:
    """One kind's lists, as a bulk reader reads them."""
    names = ["items", "scores", "reasons"]
    table = _table(_LISTS, [{"user_id": user, "variant": "personal", **_row(one)} for user, one in lists.items()])
    return table.select(["user_id", *(f"{kind.value}_{name}" for name in names)]).rename_columns(["user_id", *names])


def _table(schema: pa.Schema, rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=schema)


def _row(lists: Lists) -> dict[str, Any]:
    values = [*vars(lists.products).values(), *vars(lists.offers).values()]
    return dict(zip((name for name, _ in _ARRAYS), map(list, values), strict=True))
