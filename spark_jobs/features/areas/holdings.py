"""Which products a user holds, and since when."""

from collections.abc import Callable, Iterator

from data_contracts.columns import FAMILY
from spark_jobs.features.base import FAMILIES, Categories, Feature, Floats, Moment, Rows, flag
from spark_jobs.features.sources import HOLDINGS


def features(_: Categories) -> Iterator[Feature]:
    yield _holding("f_holdings_count", "products held", "products", lambda rows, _: rows.where(is_held="yes").count())
    yield _holding("f_holdings_past", "products given up", "products", lambda rows, _: rows.where(is_held="no").count())
    yield _holding("f_holdings_tenure", "days since the first opening", "days", lambda rows, _: rows.max("age"))
    yield _holding("f_holdings_newest", "days since the last opening", "days", lambda rows, _: rows.min("age"))
    for family in FAMILIES:
        held, told = flag({FAMILY: family, "is_held": "yes"}), f"holds a product of {family}"
        # Twice: products of the family see the first as their own, all products see the second.
        yield _holding(f"f_holdings_held_{family}", told, "flag", held)
        yield _holding(f"f_holdings_{family}_held", told, "flag", held)
        told = f"days since the first opening in {family}, held or not"
        yield _holding(f"f_holdings_tenure_{family}", told, "days", _tenure(family))


def _holding(name: str, description: str, unit: str, column: Callable[[Rows, Moment], Floats]) -> Feature:
    return Feature(name, description, unit, HOLDINGS, column)


def _tenure(family: str) -> Callable[[Rows, Moment], Floats]:
    return lambda rows, _: rows.where(**{FAMILY: family}).max("age")
