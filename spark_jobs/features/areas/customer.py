"""Who a user is, as far as the bank or T-ECD says. What is unknown stays NaN; flags of non-customers are 0."""

from collections.abc import Callable, Iterator

import numpy as np

from data_contracts.vocabulary import Employment, LifecycleStage
from spark_jobs.features.base import Categories, Feature, Floats, Moment, Rows, flag, known
from spark_jobs.features.sources import CUSTOMERS, PEOPLE

_CONSENTS = ("consent_mobile", "consent_web", "consent_crm")


def features(_: Categories) -> Iterator[Feature]:
    yield Feature("f_customer_is_customer", "the bank knows the user", "flag", CUSTOMERS, flag({}))
    yield Feature("f_customer_age", "age reached in the year of the as-of", "years", CUSTOMERS, _age)
    for name in ("region", "income_band"):
        yield Feature(f"f_customer_{name}", name.replace("_", " "), "code", CUSTOMERS, known(name))
    for employment in Employment:
        column = flag({"employment": employment})
        yield Feature(f"f_customer_is_{employment}", f"employment is {employment}", "flag", CUSTOMERS, column)
    for stage in LifecycleStage:
        column = flag({"lifecycle_stage": stage})
        yield Feature(f"f_customer_stage_{stage}", f"lifecycle stage is {stage}", "flag", CUSTOMERS, column)
    for name in _CONSENTS:
        yield Feature(f"f_customer_{name}", f"{name.replace('_', ' ')} given", "flag", CUSTOMERS, _given(name))
    for name in ("socdem_cluster", "region"):
        yield Feature(f"f_customer_tecd_{name}", f"T-ECD's {name}", "code", PEOPLE, known(name))


def _age(rows: Rows, moment: Moment) -> Floats:
    return moment.as_of.year - rows.max("birth_year")


def _given(name: str) -> Callable[[Rows, Moment], Floats]:
    return lambda rows, _: np.nan_to_num(rows.max(name))
