"""Slowly changing facts with validity intervals: what an export said holds until one says otherwise.

Belongs here: the pure functions from full exports to intervals, and from intervals back to what was known at a date.
An interval is [valid_from, valid_to), null while it holds; a row that a later export lacks has ended on that date.
Does not: which exports there are and how the tables are kept (`histories`).
"""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from data_contracts.columns import USER_ID
from data_contracts.tables import contract

CUSTOMERS, AGGREGATES = "silver.customers", "silver.aggregates"
VALID_FROM, VALID_TO = "valid_from", "valid_to"
# What an interval is of: one row a key holds at a time.
KEYS = {CUSTOMERS: (USER_ID,), AGGREGATES: (USER_ID, "month")}
_SEEN, _RUN, _SAID = "seen", "run", "said"


def customers_at(history: DataFrame, as_of: date) -> DataFrame:
    """One row a customer, as the last export up to `as_of` had it; silver.customers without its intervals."""
    return _known_at(history, as_of)


def aggregates_at(history: DataFrame, as_of: date) -> DataFrame:
    """One row a customer and month, as the last export up to `as_of` had it; silver.aggregates without intervals."""
    return _known_at(history, as_of)


def _known_at(history: DataFrame, as_of: date) -> DataFrame:
    is_ended = F.col(VALID_TO) <= F.lit(as_of)
    return history.where((F.col(VALID_FROM) <= F.lit(as_of)) & ~F.coalesce(is_ended, F.lit(False))).drop(
        VALID_FROM, VALID_TO
    )


def told_by(known: DataFrame, exported: DataFrame, *, days: Sequence[date], table: str) -> DataFrame:
    """Intervals after some exports, in the columns of `table`: those that still hold, and those that ended on `days`.

    known: the intervals that held before the first of these exports, all of them open; exported: rows of the exports
    with `valid_from` the date of theirs, one a key and date; days: the dates of the exports, ascending, also of one
    that changed nothing.
    """
    names, key = contract(table).column_names, KEYS[table]
    facts = [name for name in names if name not in (*key, VALID_FROM, VALID_TO)]
    number = F.create_map(*(F.lit(part) for n, day in enumerate(days, start=1) for part in (day, n)))
    rows = known.withColumn(_SEEN, F.lit(0)).unionByName(
        exported.withColumn(_SEEN, number[F.col(VALID_FROM)]), allowMissingColumns=True
    )
    in_time = Window.partitionBy(*key).orderBy(_SEEN)
    said = rows.withColumn(_SAID, F.struct(*facts))
    before = F.struct(F.lag(_SEEN).over(in_time).alias(_SEEN), F.lag(_SAID).over(in_time).alias(_SAID))
    goes_on = before.eqNullSafe(F.struct((F.col(_SEEN) - 1).alias(_SEEN), F.col(_SAID)))
    runs = said.withColumn("goes_on", goes_on).withColumn(_RUN, F.sum((~F.col("goes_on")).cast("int")).over(in_time))
    ends = F.create_map(*(F.lit(part) for n, day in enumerate(days) for part in (n, day)))
    told = runs.groupBy(*key, _RUN).agg(
        F.first(_SAID).alias(_SAID), F.min(VALID_FROM).alias(VALID_FROM), ends[F.max(_SEEN)].alias(VALID_TO)
    )
    return told.select(*key, f"{_SAID}.*", VALID_FROM, VALID_TO).select(*names)
