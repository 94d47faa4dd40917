"""What a user does in the bank's app: screens, searches, product pages, and which product families they are about."""

from collections.abc import Iterator

from data_contracts.columns import DOMAIN, FAMILY
from data_contracts.vocabulary import Domain
from spark_jobs.features.base import FAMILIES, Categories, Feature, days_since
from spark_jobs.features.behaviour import behaviour, breadth, by_family, counts, rhythm
from spark_jobs.features.cell_rows import GROUP


def features(_: Categories) -> Iterator[Feature]:
    yield from counts(Domain.TELEMETRY, ("view", "screen", "search"), (1, 7, 30))
    yield from breadth(Domain.TELEMETRY, "view", "products")
    yield from rhythm(Domain.TELEMETRY)
    for days in (1, 7, 30):
        yield from by_family(Domain.TELEMETRY, "view", "views", days)
    yield from by_family(Domain.TELEMETRY, "search", "searches", 7)
    yield from by_family(Domain.TELEMETRY, "screen", "screens", 7)
    for family in FAMILIES:
        column = days_since({DOMAIN: Domain.TELEMETRY, GROUP: "view", FAMILY: family})
        told = f"days since a product page of {family} was viewed"
        yield behaviour(f"f_telemetry_days_since_{family}", told, "days", column)
