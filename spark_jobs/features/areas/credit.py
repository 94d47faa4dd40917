"""A user's credit profile. What is unknown stays NaN."""

from collections.abc import Iterator

from spark_jobs.features.base import Categories, Feature, known
from spark_jobs.features.sources import CUSTOMERS


def features(_: Categories) -> Iterator[Feature]:
    yield Feature("f_credit_score_band", "1 best to 5 worst", "band", CUSTOMERS, known("score_band"))
    yield Feature("f_credit_limit", "approved credit limit", "RUB", CUSTOMERS, known("credit_limit"))
    yield Feature("f_credit_arrears_days", "days in arrears", "days", CUSTOMERS, known("arrears_days"))
