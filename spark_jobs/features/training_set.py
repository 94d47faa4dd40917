"""Point-in-time training sets: labels with every feature as it was when somebody could have looked."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from data_contracts.columns import AS_OF, USER_ID
from data_contracts.errors import InputError
from spark_jobs.features.base import Moment

SEEN_UNTIL = "seen_until"
LABEL_TIME = "label_time"


def training_set(labels: DataFrame, features: DataFrame, moment: Moment) -> DataFrame:
    """Rows of `labels` (user_id, and when they have one a label_time) beside gold.user_features at the as-of.

    Columns of the labels, then those of the features but as_of; null for whom nothing was known. Raises InputError
    where features of that as-of are missing or know of something later, and where a label lies before the as-of.
    """
    then = features.where(F.col(AS_OF) == F.lit(moment.as_of))
    latest = then.agg(F.count(USER_ID), F.max(SEEN_UNTIL)).collect()[0]
    if not latest[0]:
        raise InputError(
            f"gold.user_features has nothing as of {moment.as_of}: make it with "
            f"recs backfill --from {moment.as_of} --to {moment.as_of}"
        )
    if latest[1] is not None and latest[1] >= moment.micros:
        raise InputError(
            f"gold.user_features as of {moment.as_of} knows of something later than that moment: not used for "
            f"training; make it anew with recs backfill --from {moment.as_of} --to {moment.as_of} --rebuild"
        )
    if LABEL_TIME in labels.columns and not labels.where(F.unix_micros(LABEL_TIME) < moment.micros).isEmpty():
        raise InputError(f"labels before {moment.as_of}: a label must be later than what it is told by")
    return labels.join(then.drop(AS_OF, SEEN_UNTIL), USER_ID, "left")
