"""All registered features of all users as seen from an as-of: Spark gathers a user's facts, NumPy makes features."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from data_contracts.catalogue import Product
from data_contracts.columns import AS_OF, USER_ID
from spark_jobs.features.base import Bools, Feature, Ints, Moment, Rows, Words
from spark_jobs.features.behaviour_table import behaviour_of
from spark_jobs.features.cell_rows import Topics, behaviour_rows
from spark_jobs.features.cells import Behaviour
from spark_jobs.features.product_signals import PAIR_PRODUCTS, PAIR_SIGNALS, pair_columns, product_pairs
from spark_jobs.features.registry import all_features
from spark_jobs.features.silver import Silver
from spark_jobs.features.sources import (
    BEHAVIOUR_SOURCE,
    CAMPAIGNS,
    HOLDINGS,
    INTERACTIONS,
    PRODUCT_EVENTS,
    SOURCE,
    SOURCES,
    FactSource,
    facts,
)
from spark_jobs.features.streams import vocabulary
from spark_jobs.features.training_set import SEEN_UNTIL
from spark_jobs.features.whole_users import whole_users

_NEVER = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Recipe:
    """What a block's features are made by."""

    features: tuple[Feature, ...]
    topics: Topics
    products: tuple[Product, ...]
    moment: Moment

    @classmethod
    def of(cls, silver: Silver, moment: Moment) -> "Recipe":
        categories = [name for names in silver.categories.values() for name in names]
        topics = Topics.of([*categories, *vocabulary().merchant_categories], silver.products)
        return cls(all_features(silver.categories), topics, silver.products, moment)


def user_features(
    behaviour: DataFrame, silver: Silver, *, as_of: date, cut_off: datetime, partitions: int = 4
) -> DataFrame:
    """Rows of gold.user_features, one a user: customers and whoever behaved before the as-of.

    behaviour: rows of gold.user_behaviour at the as-of. Nothing that happened at `cut_off` or later counts. Unknown is
    null, none is 0.
    """
    moment = Moment(as_of, cut_off)
    recipe = Recipe.of(silver, moment)

    def compute(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for table in whole_users(batches):
            yield feature_batch(table, recipe)

    columns = ", ".join(f"{feature.name} float" for feature in recipe.features)
    ddl = (
        f"{USER_ID} bigint, {AS_OF} date, {SEEN_UNTIL} bigint, {PAIR_PRODUCTS} binary, {PAIR_SIGNALS} binary, {columns}"
    )
    ordered = facts(behaviour, silver, moment).repartition(partitions, USER_ID).sortWithinPartitions(USER_ID)
    return ordered.mapInArrow(compute, ddl)


def feature_batch(table: pa.Table, recipe: Recipe) -> pa.RecordBatch:
    """Rows of gold.user_features from the facts of whole users (see `facts`), sorted by user."""
    user_ids, user = np.unique(table.column(USER_ID).to_numpy(), return_inverse=True)
    positions, moment = table.column(SOURCE).to_numpy(), recipe.moment
    rows, is_customer = _rows_by_source(table, positions, user, users=len(user_ids))
    known = np.flatnonzero(positions == BEHAVIOUR_SOURCE)
    state = behaviour_of(table.take(pa.array(known)), user[known], users=len(user_ids))
    done = behaviour_rows(state, recipe.topics, moment)
    rows |= {INTERACTIONS: done.interactions, PRODUCT_EVENTS: done.product_events, CAMPAIGNS: done.campaigns}
    is_user = pa.array(is_customer | done.is_user)
    values = {feature.name: feature.column(rows[feature.source], moment) for feature in recipe.features}
    pairs = product_pairs(done, rows[HOLDINGS], recipe.products)
    told, signals = pair_columns(pairs, recipe.products, users=len(user_ids))
    columns = {
        USER_ID: pa.array(user_ids),
        AS_OF: pa.array([moment.as_of] * len(user_ids), pa.date32()),
        SEEN_UNTIL: _seen_until(state),
        PAIR_PRODUCTS: told,
        PAIR_SIGNALS: signals,
        **{name: pa.array(value.astype(np.float32), from_pandas=True) for name, value in values.items()},
    }
    return pa.RecordBatch.from_pydict(columns).filter(is_user)


def _seen_until(state: Behaviour) -> pa.Array:
    """Of each user's latest event; null for none."""
    latest = np.full(state.users, _NEVER, np.int64)
    np.maximum.at(latest, state.cell_user, state.cells["last"])
    return pa.array(latest, mask=latest == _NEVER)


def _rows_by_source(table: pa.Table, positions: Ints, user: Ints, *, users: int) -> tuple[dict[str, Rows], Bools]:
    """Each source's rows; and who is a user for being told of there."""
    is_user = np.zeros(users, dtype=bool)
    by_source = {}
    for position, (name, source) in enumerate(SOURCES.items()):
        chosen = np.flatnonzero(positions == position)
        by_source[name] = _rows(table.take(pa.array(chosen)), source, user[chosen], users=users)
        if source.makes_users:
            is_user[user[chosen]] = True
    return by_source, is_user


def _rows(table: pa.Table, source: FactSource, user: Ints, *, users: int) -> Rows:
    keys: Mapping[str, Words] = {name: _words(table.column(f"key_{n}")) for n, name in enumerate(source.keys)}
    numbers = {name: table.column(f"number_{n}").to_numpy() for n, name in enumerate(source.numbers)}
    return Rows(users, user, keys, numbers)


def _words(column: pa.ChunkedArray) -> Words:
    encoded = column.combine_chunks().dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    return Words(codes, tuple(encoded.dictionary.to_pylist()))
