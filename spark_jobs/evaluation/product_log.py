"""A night's lake as cases of the product ranker, for evaluation: users to train on, and later ones to test on.

The windows, users, features and labels are those of the night's own training, so that what is measured is what runs.
"""

from dataclasses import replace
from functools import partial

from pyspark.sql import SparkSession

from data_contracts.errors import InputError
from data_contracts.night import NightParams
from spark_jobs.evaluation.ablation import ProductCases
from spark_jobs.features.base import Moment
from spark_jobs.features.silver import read_silver
from spark_jobs.lake.actions import at_once
from spark_jobs.lake.reference import read_reference
from spark_jobs.lake.tables import read_table
from spark_jobs.ranking.product_cases import CaseParams, labelled_users
from spark_jobs.ranking.windows import training_windows


def product_log(spark: SparkSession, params: NightParams) -> ProductCases:
    """Raises InputError where the lake has no products or no product events."""
    silver, reference = read_silver(spark, params.lake), read_reference(params.lake)
    if not silver.products or silver.product_events.isEmpty():
        raise InputError(f"{params.lake}: no products or no product events to learn from; run a night there first")
    windows = training_windows(
        params.as_of, horizon_days=params.product_horizon_days, gap_hours=params.gap_hours, timezone=params.timezone
    )
    features = read_table(spark, params.lake, "gold.user_features")
    case_params = CaseParams(horizon_days=params.product_horizon_days, seed=params.seed)
    train, test = at_once(
        *(
            partial(
                labelled_users,
                silver,
                window,
                features=features,
                catalogue=reference.catalogue,
                rules=reference.rules,
                now=Moment(params.as_of, params.cut_off),
                params=replace(case_params, seed=params.seed + number),
            )
            for number, window in enumerate((windows.train, windows.calibrate))
        )
    )
    return ProductCases(train.users, test.users, train.feature_names, train.pair_names)
