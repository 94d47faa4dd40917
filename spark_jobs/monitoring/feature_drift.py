"""`gold.feature_drift`: every feature of tonight beside itself of the last good night, and of when the ranker learned.

What breaks silently shows here: a feature stuck at 0, a source half missing, a unit changed by 100. The publish gate
counts such features (`faults`).
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from data_contracts.columns import AS_OF, FEATURE_PREFIX, USER_ID
from spark_jobs.features.profile import sample_of
from spark_jobs.lake.collect import collected
from spark_jobs.lake.tables import read_table, write_table
from spark_jobs.monitoring.drift import ks, psi

DRIFT = "gold.feature_drift"
# Yesterday is the last night whose snapshot passed its gate: a broken night is nobody's measure, but of the faults that
# people let pass when they published it nevertheless.
YESTERDAY, TRAINING = "yesterday", "training"
# Of fewer users shares say little: nothing is compared.
FEWEST_USERS = 200
# The population is another one from here on (see `drift.psi`).
_PSI_LINE = 0.25
_NULLS_MORE = 0.25
_ALIVE_AT_LEAST = 0.05
_UNIT_FACTOR = 10.0

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class FeatureDrift:
    """One feature, then and now; shares are of users, medians of the sizes of values other than 0."""

    psi: float
    ks: float
    null_share: float
    null_share_then: float
    alive_share: float
    alive_share_then: float
    median: float | None
    median_then: float | None

    @classmethod
    def of(cls, then: Floats, now: Floats) -> "FeatureDrift":
        """then, now (n,), (m,): values of samples of users, NaN where unknown."""
        return cls(
            psi(then, now),
            ks(then, now),
            float(np.isnan(now).mean()),
            float(np.isnan(then).mean()),
            float(_alive(now).mean()),
            float(_alive(then).mean()),
            _median(now),
            _median(then),
        )


DRIFT_COLUMNS = ("feature", "against", *(field.name for field in fields(FeatureDrift)))

# What is wrong with a feature since the last good night, by the gate's name of it.
FAULTS: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "features_missing": lambda row: row["null_share"] > row["null_share_then"] + _NULLS_MORE,
    "features_stuck": lambda row: row["alive_share"] == 0 and row["alive_share_then"] >= _ALIVE_AT_LEAST,
    "features_rescaled": lambda row: (
        min(row["alive_share"], row["alive_share_then"]) >= _ALIVE_AT_LEAST
        and not 1 / _UNIT_FACTOR < row["median"] / row["median_then"] < _UNIT_FACTOR
    ),
    "features_drifted": lambda row: row["psi"] > _PSI_LINE,
}


def faults(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The features at fault by fault, of rows against yesterday; empty where nothing was held against it."""
    beside = [row for row in rows if row["against"] == YESTERDAY]
    if not beside:
        return {}
    return {name: [row["feature"] for row in beside if is_faulty(row)] for name, is_faulty in FAULTS.items()}


def drifted_since_training(rows: Iterable[Mapping[str, Any]]) -> int:
    """How many features are distributed otherwise than in the training window."""
    return sum(row["against"] == TRAINING and row["psi"] > _PSI_LINE for row in rows)


@dataclass(frozen=True)
class _Sample:
    """Features of enough users, as seen from an as-of."""

    as_of: date
    features: pa.Table


def faults_let_pass(spark: SparkSession, lake: str, nights: Iterable[tuple[date, Collection[str]]]) -> dict[str, date]:
    """By feature, the newest of these nights at which it had a fault that people let pass.

    nights: newest first, each with the checks that were let pass of it.
    """
    table = read_table(spark, lake, DRIFT).where(F.col("against") == YESTERDAY)
    found: dict[str, date] = {}
    for night, checks in nights:
        if {*checks} & FAULTS.keys():
            rows = [row.asDict() for row in table.where(F.col(AS_OF) == F.lit(night)).collect()]
            for name, features in faults(rows).items():
                found = {**dict.fromkeys(features if name in checks else (), night), **found}
    return found


def write_feature_drift(
    spark: SparkSession, lake: str, *, as_of: date, bases: Mapping[str, Sequence[date]], let_pass: Mapping[str, date]
) -> int:
    """Replace the as-of's rows; how many there are.

    bases: by name, as-ofs to hold it against, of which the first that is there counts. let_pass: by feature, the as-of
    that is its yesterday since people let its fault pass.
    """
    table = read_table(spark, lake, "gold.user_features")
    then = {against: _first_held(table, as_ofs) for against, as_ofs in bases.items()}
    wanted = [one for night in sorted({*let_pass.values()}) if (one := _first_held(table, [night])) is not None]
    now = _first_held(table, [as_of]) if any(then.values()) or wanted else None
    if now is None:
        return 0
    rows = [row for one in wanted for row in _rows(one, now, YESTERDAY, {*_of_night(let_pass, one.as_of)})]
    own = {row["feature"] for row in rows}
    for against, base in then.items():
        if base is not None:
            names = {*now.features.column_names} - (own if against == YESTERDAY else set())
            rows += _rows(base, now, against, names)
    if rows:
        frame = spark.createDataFrame(pd.DataFrame(rows)).withColumn(AS_OF, F.lit(as_of))
        write_table(frame, lake, DRIFT, partitions=[as_of])
    return len(rows)


def drift_rows(then: pa.Table, now: pa.Table, *, against: str, base: date) -> Sequence[dict[str, Any]]:
    """A row a feature that both know."""
    names = [name for name in now.column_names if name in then.column_names]
    told = ((name, FeatureDrift.of(_values(then, name), _values(now, name))) for name in names)
    return [{"feature": name, "against": against, "then_as_of": base, **asdict(drift)} for name, drift in told]


def _rows(then: _Sample, now: _Sample, against: str, names: Collection[str]) -> Sequence[dict[str, Any]]:
    chosen = now.features.select([name for name in now.features.column_names if name in names])
    return drift_rows(then.features, chosen, against=against, base=then.as_of)


def _of_night(let_pass: Mapping[str, date], night: date) -> Iterator[str]:
    return (feature for feature, one in let_pass.items() if one == night)


def _first_held(features: DataFrame, as_ofs: Iterable[date]) -> _Sample | None:
    for as_of in as_ofs:
        sample = _sample(features, as_of)
        if sample.num_rows >= FEWEST_USERS:
            return _Sample(as_of, sample)
    return None


def _sample(features: DataFrame, as_of: date) -> pa.Table:
    rows = features.where(F.col(AS_OF) == F.lit(as_of))
    names = [name for name in features.columns if name.startswith(FEATURE_PREFIX)]
    return collected(sample_of(rows.select(USER_ID, *names), users=rows.count()).drop(USER_ID))


def _values(sample: pa.Table, name: str) -> Floats:
    return np.asarray(sample.column(name).to_numpy(), np.float32)


def _alive(values: Floats) -> NDArray[np.bool_]:
    return np.asarray(~np.isnan(values) & (values != 0))


def _median(values: Floats) -> float | None:
    alive = np.abs(values[_alive(values)])
    return float(np.median(alive)) if len(alive) else None
