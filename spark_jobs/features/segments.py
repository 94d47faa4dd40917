"""Segments: a coarse number for who a user is, from what is known of that user; 0 where nothing is.

    1 .. 23   customers: life stage × income, each of which may be unknown, though not both
    24 .. 45  T-ECD's socio-demographic cluster, where the bank knows nothing
    46 .. 49  how active, where nobody knows who it is

A segment is a pure function of the user's own features, so that it can be told for any as-of.
"""

from itertools import product

import numpy as np
import numpy.typing as npt
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from data_contracts.columns import AS_OF, SEGMENT, USER_ID
from data_contracts.vocabulary import Domain

STAGES = ("student", "young", "middle", "mature", "retired", "stage unknown")
INCOMES = ("low income", "middle income", "high income", "income unknown")
CLUSTERS = 22
ACTIVITIES = ("seen once or twice", "occasional", "regular", "heavy")
# Lower bounds of the last three activities: decayed events of the last days, in all domains, by their half-life.
ACTIVITY_HOURS = 168.0
_ACTIVITY_BOUNDS = (3.0, 15.0, 60.0)

_FIRST_CLUSTER = len(STAGES) * len(INCOMES)
_FIRST_ACTIVITY = _FIRST_CLUSTER + CLUSTERS
_ACTIVE_DOMAINS = {
    Domain.MARKETPLACE: ("view", "click"),
    Domain.RETAIL: ("view", "click", "cart", "purchase"),
    Domain.OFFERS: ("view", "click"),
    Domain.PAYMENTS: ("purchase",),
    Domain.RECEIPTS: ("purchase",),
    Domain.TRANSACTIONS: ("purchase",),
    Domain.TELEMETRY: ("view", "screen", "search"),
}


def segment_names() -> dict[int, str]:
    """What each segment number means."""
    stages = [f"{stage}, {income}" for stage, income in product(STAGES, INCOMES)][:-1]
    clusters = [f"T-ECD cluster {cluster}" for cluster in range(CLUSTERS)]
    return dict(enumerate(["nothing known", *stages, *clusters, *ACTIVITIES]))


def segments(features: DataFrame) -> DataFrame:
    """user_id, as_of, segment, from rows of gold.user_features."""
    stage, income = _stage(), _income()
    is_known = (stage < len(STAGES) - 1) | (income < len(INCOMES) - 1)
    cluster, activity = F.col("f_customer_tecd_socdem_cluster"), _activity()
    number = (
        F.when(is_known, stage * len(INCOMES) + income + 1)
        .when(cluster.between(0, CLUSTERS - 1), cluster + _FIRST_CLUSTER)
        .when(activity >= 0, activity + _FIRST_ACTIVITY)
        .otherwise(F.lit(0))
    )
    return features.select(USER_ID, AS_OF, number.cast("smallint").alias(SEGMENT))


def segments_of_unknown(cluster: npt.NDArray[np.int16], events: npt.NDArray[np.float64]) -> npt.NDArray[np.int16]:
    """The same of users of whom the bank knows nothing, without Spark.

    cluster: of T-ECD, -1 where it is not known; events: decayed with a half-life of `ACTIVITY_HOURS`.
    """
    active = np.searchsorted(_ACTIVITY_BOUNDS, events, side="right") + _FIRST_ACTIVITY
    is_clustered = (cluster >= 0) & (cluster < CLUSTERS)
    return np.where(is_clustered, cluster + _FIRST_CLUSTER, np.where(events > 0, active, 0)).astype(np.int16)


def _stage() -> Column:
    """Position in `STAGES`: employment speaks first, then age."""
    age = F.col("f_customer_age")
    return (
        F.when(F.col("f_customer_is_student") > 0, F.lit(0))
        .when(F.col("f_customer_is_retired") > 0, F.lit(4))
        .when(age < 30, F.lit(1))
        .when(age < 45, F.lit(2))
        .when(age < 63, F.lit(3))
        .when(age >= 63, F.lit(4))
        .otherwise(F.lit(5))
    )


def _income() -> Column:
    """Position in `INCOMES`, from bands 0 to 4."""
    band = F.col("f_customer_income_band")
    return F.when(band <= 1, F.lit(0)).when(band <= 2, F.lit(1)).when(band <= 4, F.lit(2)).otherwise(F.lit(3))


def _activity() -> Column:
    """Position in `ACTIVITIES`, -1 where nothing was done."""
    names = [f"f_{domain}_{group}_7d" for domain, groups in _ACTIVE_DOMAINS.items() for group in groups]
    events = sum((F.col(name) for name in names), start=F.lit(0.0))
    position = F.when(events <= 0, F.lit(-1))
    for number, bound in enumerate(_ACTIVITY_BOUNDS):
        position = position.when(events < bound, F.lit(number))
    return position.otherwise(F.lit(len(_ACTIVITY_BOUNDS)))
