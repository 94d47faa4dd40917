"""What the policy and the day must know of every user, as seen from an as-of: the rows of a snapshot's `user_state`.

Belongs here: the transform that makes these rows, and their way into the policy's arrays. Training asks it for an
earlier as-of, scoring for the night's, so both decide eligibility alike. Does not: features, lists.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from data_contracts.columns import ITEM_CODE, PRODUCT_ID, SEGMENT, USER_ID
from data_contracts.policy import Consent, Users, employment_codes, holdings_matrix

STATE_COLUMNS = (
    USER_ID,
    SEGMENT,
    "holdings",
    "birth_year",
    "region",
    "income_band",
    "employment",
    "score_band",
    "arrears_days",
    "consents",
)


def user_state(
    users: DataFrame,
    *,
    customers: DataFrame,
    holdings: DataFrame,
    segments: DataFrame,
    products: Sequence[str],
    as_of: date,
) -> DataFrame:
    """One row a user of `users` (distinct user_id), in `STATE_COLUMNS`.

    customers: one row a customer, as known at `as_of`; holdings as in silver; segments: user_id, segment; products:
    product ids in code order. Unknown attributes become the snapshot's sentinels.
    """
    held = held_products(holdings, products=products, as_of=as_of)
    known = users.join(customers.withColumn("is_customer", F.lit(True)), USER_ID, "left")
    return (
        known.join(held, USER_ID, "left")
        .join(segments.select(USER_ID, SEGMENT), USER_ID, "left")
        .select(
            USER_ID,
            _or(SEGMENT, 0, "smallint"),
            F.coalesce("holdings", F.array().cast("array<int>")).alias("holdings"),
            _or("birth_year", 0, "smallint"),
            _or("region", -1, "smallint"),
            _or("income_band", -1, "tinyint"),
            _or("employment", "", "string"),
            _or("score_band", 0, "tinyint"),
            _or("arrears_days", -1, "smallint"),
            _consents().alias("consents"),
        )
    )


def held_products(holdings: DataFrame, *, products: Sequence[str], as_of: date) -> DataFrame:
    """user_id, holdings: sorted codes of the products held at `as_of`; products out of the catalogue are left out."""
    codes = holdings.sparkSession.createDataFrame(list(enumerate(products)), f"{ITEM_CODE} int, {PRODUCT_ID} string")
    is_open = (F.col("opened_on") < F.lit(as_of)) & (F.col("closed_on").isNull() | (F.col("closed_on") >= F.lit(as_of)))
    return (
        holdings.where(is_open)
        .join(F.broadcast(codes), PRODUCT_ID)
        .groupBy(USER_ID)
        .agg(F.array_sort(F.collect_set(ITEM_CODE)).alias("holdings"))
    )


def policy_users(state: pa.RecordBatch | pa.Table, *, products: int) -> Users:
    """The policy's view of rows of `user_state`."""
    held = _single(state, "holdings")
    sizes = np.diff(held.offsets.to_numpy())
    rows = np.repeat(np.arange(len(held)), sizes)
    return Users.from_state(
        holdings=holdings_matrix(rows, held.flatten().to_numpy(), users=len(held), products=products),
        employment=employment_codes(_single(state, "employment").to_pylist()),
        **{name: numbers(state, name) for name in _NUMBERS},
    )


_NUMBERS = ("birth_year", "region", "income_band", "score_band", "arrears_days", "consents")


def numbers(state: pa.RecordBatch | pa.Table, name: str) -> NDArray[np.generic]:
    """A numeric column without nulls as an array."""
    column: NDArray[np.generic] = _single(state, name).to_numpy(zero_copy_only=False)
    return column


def _single(state: pa.RecordBatch | pa.Table, name: str) -> pa.Array:
    column = state.column(name)
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _or(name: str, unknown: int | str, kind: str) -> Column:
    return F.coalesce(F.col(name).cast(kind), F.lit(unknown).cast(kind)).alias(name)


def _consents() -> Column:
    """The bit mask of `policy.Consent`; a customer has at least KNOWN, anybody else nothing."""
    bits = {
        "consent_mobile": Consent.MOBILE,
        "consent_web": Consent.WEB,
        "consent_crm": Consent.CRM,
        "consent_profiling": Consent.PROFILING,
        "is_customer": Consent.KNOWN,
    }
    summed = F.lit(0)
    for name, bit in bits.items():
        summed = summed + F.when(F.col(name), int(bit)).otherwise(0)
    return summed.cast("smallint")
