"""What is between a user and one very product, as seen from an as-of: for the product ranker, beside user features.

Sparse: a pair without a signal is not told, and every signal is 0 where nothing is said. Names: f_pair_<area>_<what>.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_contracts.catalogue import Product
from data_contracts.columns import DOMAIN, EVENT_TYPE, PRODUCT_ID
from data_contracts.vocabulary import Action, CampaignEvent, Domain, ProductEvent
from spark_jobs.features.base import Bools, Floats, Ints, Rows
from spark_jobs.features.cell_rows import GROUP, BehaviourRows
from spark_jobs.features.cells import topic_code
from spark_jobs.features.packed import binary, unpacked

# Columns of gold.user_features.
PAIR_PRODUCTS, PAIR_SIGNALS = "pair_products", "pair_signals"
# Freshness of what happened just now is 1, and halves every so many days.
_FRESH_DAYS = 7
_STEPS = (ProductEvent.APPLIED, ProductEvent.DECLINED, ProductEvent.OPENED, ProductEvent.CLOSED)
_CONTACTS = (CampaignEvent.SHOWN, CampaignEvent.CLICKED, CampaignEvent.DISMISSED)
_RELATIONS = ("complements", "upgrades")
# Of signals that tell what is held beside the product, rather than what has been between it and the user.
PAIR_HOLDINGS = "f_pair_holdings_"
SIGNALS: tuple[str, ...] = tuple(
    sorted(
        [f"f_pair_telemetry_{what}" for what in ("views_7d", "views_30d", "view_fresh")]
        + [f"f_pair_product_{kind}_30d" for kind in _STEPS]
        + [f"f_pair_campaign_{kind}_30d" for kind in _CONTACTS]
        + ["f_pair_product_applied_fresh", "f_pair_campaign_shown_fresh"]
        + [f"{PAIR_HOLDINGS}{relation}" for relation in _RELATIONS]
    )
)


@dataclass(frozen=True)
class Pairs:
    """Pairs with a signal, by user, then product. user, product int64 [P]: position in the block and the catalogue.

    values float32 [P, len(SIGNALS)].
    """

    user: Ints
    product: Ints
    values: npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Told:
    """One signal of some pairs, each once."""

    signal: str
    user: Ints
    product: Ints
    values: Floats


def product_pairs(behaviour: BehaviourRows, holdings: Rows, products: Sequence[Product]) -> Pairs:
    """All signals of a block. holdings: rows with product_id and is_held."""
    positions = {product.product_id: position for position, product in enumerate(products)}
    told = [*_views(behaviour, positions), *_steps(behaviour, positions), *_contacts(behaviour, positions)]
    told += _relations(holdings, products, positions)
    width = max(len(products), 1)
    keys = [one.user * width + one.product for one in told]
    pairs = np.unique(np.concatenate(keys)) if keys else np.empty(0, np.int64)
    values = np.zeros((len(pairs), len(SIGNALS)), np.float32)
    for key, one in zip(keys, told, strict=True):
        values[np.searchsorted(pairs, key), SIGNALS.index(one.signal)] = one.values
    return Pairs(pairs // width, pairs % width, values)


def pair_columns(pairs: Pairs, products: Sequence[Product], *, users: int) -> tuple[pa.Array, pa.Array]:
    """`pair_products`, the products' topic codes, int64 [pairs]; `pair_signals`, float32 [pairs, len(SIGNALS)]."""
    codes = np.array([topic_code(product.product_id) for product in products], np.int64)
    sizes = np.bincount(pairs.user, minlength=users).astype(np.int64)
    told = codes[pairs.product] if len(codes) else np.empty(0, np.int64)
    return binary(told.astype("<i8"), sizes), binary(pairs.values.astype("<f4"), sizes)


def dense_signals(
    rows: pa.Table | pa.RecordBatch, names: Sequence[str], *, products: Sequence[str]
) -> npt.NDArray[np.float32]:
    """(rows, products, names) from `pair_columns`; 0 where nothing is said. Unknown products are left out."""
    dense = np.zeros((rows.num_rows, len(products), len(names)), np.float32)
    codes, sizes = unpacked(rows.column(PAIR_PRODUCTS), np.dtype("<i8"))
    if not len(codes) or not names:
        return dense
    values, _ = unpacked(rows.column(PAIR_SIGNALS), np.dtype("<f4"))
    user = np.repeat(np.arange(rows.num_rows), sizes)
    known = np.array([topic_code(product) for product in products], np.int64)
    order = np.argsort(known)
    at = np.minimum(np.searchsorted(known, codes, sorter=order), len(known) - 1)
    is_known = known[order[at]] == codes
    chosen = [SIGNALS.index(name) for name in names]
    told = values.reshape(-1, len(SIGNALS))[is_known][:, chosen]
    dense[user[is_known], order[at[is_known]]] = told
    return dense


def _views(behaviour: BehaviourRows, positions: Mapping[str, int]) -> Iterator[_Told]:
    """Views of the product's page in the app."""
    seen = behaviour.interactions.where(**{DOMAIN: Domain.TELEMETRY, GROUP: Action.VIEW})
    yield _told("f_pair_telemetry_views_7d", seen, positions, seen.values("count_7d"))
    yield _told("f_pair_telemetry_views_30d", seen, positions, seen.values("count_30d"))
    yield _told("f_pair_telemetry_view_fresh", seen, positions, _freshness(seen))


def _steps(behaviour: BehaviourRows, positions: Mapping[str, int]) -> Iterator[_Told]:
    """Applications, refusals, openings and closings of the product."""
    for kind in _STEPS:
        done = behaviour.product_events.where(**{EVENT_TYPE: kind})
        yield _told(f"f_pair_product_{kind}_30d", done, positions, done.values("count_30d"))
    applied = behaviour.product_events.where(**{EVENT_TYPE: ProductEvent.APPLIED})
    yield _told("f_pair_product_applied_fresh", applied, positions, _freshness(applied))


def _contacts(behaviour: BehaviourRows, positions: Mapping[str, int]) -> Iterator[_Told]:
    """What campaigns showed of the product, and the answers."""
    for kind in _CONTACTS:
        made = behaviour.campaigns.where(**{EVENT_TYPE: kind})
        yield _told(f"f_pair_campaign_{kind}_30d", made, positions, made.values("count_30d"))
    shown = behaviour.campaigns.where(**{EVENT_TYPE: CampaignEvent.SHOWN})
    yield _told("f_pair_campaign_shown_fresh", shown, positions, _freshness(shown))


def _relations(holdings: Rows, products: Sequence[Product], positions: Mapping[str, int]) -> Iterator[_Told]:
    """How many held products this one complements, or is an upgrade of."""
    rows = holdings.where(is_held="yes")
    had = _positions(rows, positions)
    held = np.unique(np.column_stack([rows.users_of_rows, had])[had >= 0], axis=0)
    for relation in _RELATIONS:
        found = [
            np.column_stack([who, np.full(len(who), positions[other])])
            for n, product in enumerate(products)
            for other in getattr(product, relation)
            for who in [held[held[:, 1] == n, 0]]
            if other in positions
        ]
        pairs, counts = np.unique(np.concatenate([np.empty((0, 2), np.int64), *found]), axis=0, return_counts=True)
        yield _Told(f"{PAIR_HOLDINGS}{relation}", pairs[:, 0], pairs[:, 1], counts.astype(np.float64))


def _positions(rows: Rows, positions: Mapping[str, int]) -> Ints:
    """Of each row's product in the catalogue; -1 for none."""
    names = rows.keys[PRODUCT_ID].names
    return np.array([*(positions.get(name, -1) for name in names), -1], np.int64)[rows.codes(PRODUCT_ID)]


def _told(signal: str, rows: Rows, positions: Mapping[str, int], values: Floats) -> _Told:
    """Of the rows that are about a product."""
    product = _positions(rows, positions)
    is_product: Bools = product >= 0
    return _Told(signal, rows.users_of_rows[is_product], product[is_product], values[is_product])


def _freshness(rows: Rows) -> Floats:
    fresh: Floats = np.exp2(-rows.values("age") / _FRESH_DAYS)
    return fresh
