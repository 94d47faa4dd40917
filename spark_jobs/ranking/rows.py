"""Rows of the product ranker: how a user, a product and what is between them become one line of features.

Training and scoring build rows with this code and no other. A row is

    user features f_* ++ own-family features f_family_* ++ pair signals f_pair_* ++ product features product_*

Per-family user features are columns named `f_<area>_<what>_<family>`; a product's row holds the column of its own
family as `f_family_<area>_<what>` and no other family's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_contracts.catalogue import Product
from data_contracts.vocabulary import Family
from spark_jobs.features.product_signals import PAIR_HOLDINGS
from spark_jobs.ranking.kernel import F32, I64
from spark_jobs.ranking.product_prior import Priors

_FAMILIES = tuple(family.value for family in Family)


@dataclass(frozen=True)
class RowLayout:
    """Which user columns go where. `names` are the model's feature names, in the order of a row.

    user_columns: positions of the general features in a user matrix; family_columns: (families, own-family features)
    positions in a user matrix, -1 where the family has no such column (the row then holds NaN).
    """

    names: tuple[str, ...]
    user_columns: I64
    family_columns: I64
    pair_names: tuple[str, ...]

    @property
    def width(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class ProductTable:
    """What rows need to know of the products, in catalogue order. features: (products, product features) float32.

    is_new: (products,), on sale for so short a time that most have not met it.
    """

    ids: tuple[str, ...]
    families: I64
    values: F32
    features: F32
    is_new: NDArray[np.bool_]


def row_layout(feature_names: Sequence[str], pair_names: Sequence[str]) -> RowLayout:
    """The layout for user matrices with columns `feature_names`; general and own-family names come out sorted."""
    position = {name: number for number, name in enumerate(feature_names)}
    stems: dict[str, dict[str, int]] = {}
    for name in feature_names:
        stem, _, family = name.rpartition("_")
        if family in _FAMILIES:
            stems.setdefault(stem, {})[family] = position[name]
    per_family = {name for stem, columns in stems.items() for name in (f"{stem}_{family}" for family in columns)}
    general = sorted(set(feature_names) - per_family)
    family_columns = [[stems[stem].get(family, -1) for stem in sorted(stems)] for family in _FAMILIES]
    own = [f"f_family_{stem.removeprefix('f_')}" for stem in sorted(stems)]
    return RowLayout(
        names=(*general, *own, *pair_names, *product_feature_names()),
        user_columns=np.array([position[name] for name in general], np.int64),
        family_columns=np.array(family_columns, np.int64).reshape(len(_FAMILIES), len(own)),
        pair_names=tuple(pair_names),
    )


def product_feature_names() -> tuple[str, ...]:
    return (*(f"product_is_{family}" for family in _FAMILIES), "product_value", "product_prior_odds")


def product_table(products: Sequence[Product], priors: Priors) -> ProductTable:
    """`priors`: from labels known before the as-of."""
    families = np.array([_FAMILIES.index(product.family.value) for product in products], np.int64)
    values = np.array([product.value for product in products], np.float32)
    one_hot = np.eye(len(_FAMILIES), dtype=np.float32)[families]
    features = np.column_stack([one_hot, np.log(values), priors.odds])
    ids = tuple(product.product_id for product in products)
    numbers = np.ascontiguousarray(features, np.float32)
    return ProductTable(ids=ids, families=families, values=values, features=numbers, is_new=priors.is_new)


def met_columns(pair_names: Sequence[str]) -> I64:
    """Positions of the signals that tell whether a user has met a product."""
    return np.array([n for n, name in enumerate(pair_names) if not name.startswith(PAIR_HOLDINGS)], np.int64)


class RowBuffer:
    """One float32 buffer for the rows of at most `block` users × all products; filled again for each block."""

    def __init__(self, layout: RowLayout, products: ProductTable, block: int) -> None:
        self._layout = layout
        self._products = products
        self._own = layout.family_columns[products.families]
        self._new = np.flatnonzero(products.is_new)
        self._met = met_columns(layout.pair_names)
        self._rows = np.empty((block, len(products.values), layout.width), np.float32)

    def product_rows(self, users: F32, pairs: F32) -> F32:
        """(n, products, width) rows of users (n, user columns) and pair signals (n, products, pair signals).

        A view of the buffer: valid until the next call.
        """
        rows = self._rows[: len(users)]
        general, own = len(self._layout.user_columns), self._own.shape[1]
        rows[:, :, :general] = users[:, None, self._layout.user_columns]
        rows[:, :, general : general + own] = users[:, self._own]
        rows[:, :, general : general + own][:, self._own < 0] = np.nan
        rows[:, :, general + own : general + own + pairs.shape[2]] = pairs
        self._forget(rows[:, :, general + own : general + own + pairs.shape[2]])
        rows[:, :, general + own + pairs.shape[2] :] = self._products.features
        return rows

    def _forget(self, pairs: F32) -> None:
        """In place: NaN, of new products, for who has not met them."""
        for product in self._new:
            strangers = np.flatnonzero(~pairs[:, product, self._met].any(axis=1))
            pairs[strangers[:, None], product, self._met] = np.nan

    def rows_of(self, users: NDArray[np.integer[Any]], products: NDArray[np.integer[Any]]) -> F32:
        """Copies of single rows of what the last call filled, (len(users), width)."""
        return np.asarray(self._rows[users, products])
