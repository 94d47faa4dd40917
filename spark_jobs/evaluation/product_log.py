"""A night's lake as cases of the product ranker, for evaluation: users to train on, and later ones to test on.

The windows, users, features and labels are those of the night's own training, so that what is measured is what runs.
"""

from pyspark.sql import SparkSession

from data_contracts.errors import InputError
from data_contracts.night import NightParams
from spark_jobs.evaluation.ablation import ProductCases
from spark_jobs.features.silver import read_silver
from spark_jobs.ranking.product_cases import cases_of_night
from spark_jobs.ranking.windows import windows_of_night


def product_log(spark: SparkSession, params: NightParams) -> ProductCases:
    """Raises InputError where the lake has no products or no product events."""
    silver = read_silver(spark, params.lake)
    if not silver.products or silver.product_events.isEmpty():
        raise InputError(f"{params.lake}: no products or no product events to learn from; run a night there first")
    train, test = cases_of_night(silver, params, windows_of_night(params))
    return ProductCases(train.users, test.users, train.feature_names, train.pair_names)
