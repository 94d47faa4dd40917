"""`gold.feature_profile`: what a night's features look like, for whoever has to trust them."""

from collections.abc import Iterable
from datetime import date

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from data_contracts.columns import AS_OF, FEATURE_PREFIX, USER_ID
from spark_jobs.lake.collect import collected

PROFILE = "gold.feature_profile"
QUANTILES = {"p1": 0.01, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p99": 0.99}
SAMPLE_USERS = 10_000
_STEPS = 1 << 20


def feature_profile(features: DataFrame, *, as_of: date, users: int) -> DataFrame:
    """Rows of gold.feature_profile from one as-of of gold.user_features, by a sample of about `SAMPLE_USERS`.

    users: how many there are.
    """
    names = [name for name in features.columns if name.startswith(FEATURE_PREFIX)]
    rows = profile_rows(collected(sample_of(features, users=users).select(*names)), names)
    frame = features.sparkSession.createDataFrame(rows.to_pandas())
    return frame.withColumn(AS_OF, F.lit(as_of))


def sample_of(features: DataFrame, *, users: int) -> DataFrame:
    """The rows of about `SAMPLE_USERS` of `users`, chosen by a hash: the same users at every as-of."""
    share = min(1.0, SAMPLE_USERS / max(users, 1))
    return features.where(F.pmod(F.xxhash64(USER_ID), F.lit(_STEPS)) < int(share * _STEPS))


def profile_rows(sample: pa.Table, names: Iterable[str]) -> pa.Table:
    """A row a feature; quantiles and mean of nobody are null."""
    return pa.Table.from_pylist([_profile(name, sample.column(name).to_numpy()) for name in names])


def _profile(name: str, values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> dict[str, object]:
    known = values[~np.isnan(values)].astype(np.float64)
    users = max(len(values), 1)
    told: dict[str, float | None] = dict.fromkeys(("mean", *QUANTILES), None)
    if len(known):
        found = np.quantile(known, list(QUANTILES.values()))
        told = {"mean": float(known.mean()), **{q: float(value) for q, value in zip(QUANTILES, found, strict=True)}}
    shares = {"null_share": 1 - len(known) / users, "zero_share": float(np.sum(known == 0)) / users}
    return {"feature": name, "users": len(values), **shares, **told}
