"""Blocks of users on their way from Spark to NumPy: state, features and pair signals, in one row a user.

`user_rows` makes the frame, `user_arrays` the arrays; training (on a collected sample) and scoring (inside Spark's
Python workers) read users through these two and no other way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from data_contracts.columns import PRODUCT_ID, SEGMENT, USER_ID
from data_contracts.policy import Users
from spark_jobs.features.product_signals import PAIR_PRODUCTS, PAIR_SIGNALS, dense_signals
from spark_jobs.ranking.kernel import F32, I64
from spark_jobs.ranking.user_state import policy_users


@dataclass(frozen=True)
class UserArrays:
    """n users in the order of their rows. features: (n, features); pairs: (n, products, signals), 0 where unsaid."""

    user_ids: I64
    segments: NDArray[np.int16]
    state: Users
    features: F32
    pairs: F32


def user_rows(state: DataFrame, *, features: DataFrame) -> DataFrame:
    """State (`user_state`) with the users' f_* features and pair signals beside it, one row a user.

    features: of gold.user_features.
    """
    own = [name for name in features.columns if name.startswith("f_")]
    return state.join(features.select(USER_ID, *own, PAIR_PRODUCTS, PAIR_SIGNALS), USER_ID, "left")


def user_arrays(
    rows: pa.RecordBatch | pa.Table,
    *,
    feature_names: Sequence[str],
    pair_names: Sequence[str],
    products: Sequence[str],
) -> UserArrays:
    """Arrays of some rows of `user_rows`; features come in the order asked for, null as NaN; products in code order."""
    table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
    table = table.combine_chunks()
    return UserArrays(
        user_ids=table.column(USER_ID).to_numpy(),
        segments=table.column(SEGMENT).to_numpy(),
        state=policy_users(table, products=len(products)),
        features=feature_matrix(table, feature_names),
        pairs=dense_signals(table, pair_names, products=products),
    )


def feature_matrix(rows: pa.RecordBatch | pa.Table, names: Sequence[str]) -> F32:
    """(rows, names), null as NaN."""
    features = np.empty((rows.num_rows, len(names)), np.float32)
    for number, name in enumerate(names):
        features[:, number] = np.asarray(rows.column(name))
    return features


def aligned_features(table: pa.Table, names: Sequence[str], *, user_ids: I64) -> F32:
    """(users, features) of users in this order, from a table with user_id in any order; NaN for who is not in it."""
    place, is_there = _places(table.column(USER_ID).to_numpy(), user_ids)
    features = np.full((len(user_ids), len(names)), np.nan, np.float32)
    for number, name in enumerate(names):
        features[is_there, number] = table.column(name).to_numpy()[place[is_there]]
    return features


def aligned_pairs(table: pa.Table, names: Sequence[str], *, user_ids: I64, products: Sequence[str]) -> F32:
    """(users, products, signals) from one row a pair (user_id, product_id, signals); 0 where nothing is said.

    Pairs of other users or products are left out.
    """
    dense = np.zeros((len(user_ids), len(products), len(names)), np.float32)
    codes = {product: code for code, product in enumerate(products)}
    code = np.array([codes.get(product, -1) for product in table.column(PRODUCT_ID).to_pylist()], np.int64)
    row, is_ours = _places(user_ids, table.column(USER_ID).to_numpy())
    is_ours &= code >= 0
    for number, name in enumerate(names):
        dense[row[is_ours], code[is_ours], number] = table.column(name).to_numpy()[is_ours]
    return dense


def _places(users: I64, wanted: I64) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Where each of `wanted` stands among `users`, in any order, and whether it does."""
    order = np.argsort(users, kind="stable")
    place = np.minimum(np.searchsorted(users, wanted, sorter=order), max(len(users) - 1, 0))
    if not len(users):
        return place, np.zeros(len(wanted), np.bool_)
    found = order[place]
    return found, users[found] == wanted
