"""What a user looks at, puts into the cart and orders in retail."""

from collections.abc import Iterator

from data_contracts.vocabulary import Domain
from spark_jobs.features.base import Categories, Feature
from spark_jobs.features.behaviour import breadth, by_category, counts, rhythm


def features(categories: Categories) -> Iterator[Feature]:
    yield from counts(Domain.RETAIL, ("view", "purchase"), (1, 7, 30))
    yield from counts(Domain.RETAIL, ("click", "cart"), (7, 30))
    yield from breadth(Domain.RETAIL, "view", "items")
    yield from rhythm(Domain.RETAIL)
    yield from by_category(Domain.RETAIL, categories.get("retail", ()), "count", 30)
