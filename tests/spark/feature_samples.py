"""Features of silver frames from nothing: every day folded, then all features computed."""

from datetime import date, timedelta

from pyspark.sql import DataFrame

from data_contracts.columns import AS_OF
from spark_jobs.features.behaviour_table import folded
from spark_jobs.features.days import day_spans, midnight
from spark_jobs.features.engine import user_features
from spark_jobs.features.silver import Silver
from spark_jobs.features.streams import happenings

ZONE = "Europe/Moscow"
HISTORY_DAYS = 60


def behaviour_at(silver: Silver, as_of: date) -> DataFrame:
    """Rows of gold.user_behaviour, without as_of."""
    first = as_of - timedelta(days=HISTORY_DAYS)
    events = happenings(silver, first=first, before=as_of)
    return folded(None, events, day_spans(first, as_of, timezone=ZONE), [as_of], partitions=2).drop(AS_OF)


def features_at(silver: Silver, as_of: date) -> DataFrame:
    """Rows of gold.user_features."""
    return user_features(behaviour_at(silver, as_of), silver, as_of=as_of, cut_off=midnight(as_of, ZONE), partitions=2)
