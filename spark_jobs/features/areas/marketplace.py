"""What a user looks at on the marketplace."""

from collections.abc import Iterator

from data_contracts.vocabulary import Domain
from spark_jobs.features.base import Categories, Feature
from spark_jobs.features.behaviour import breadth, by_category, counts, rhythm


def features(categories: Categories) -> Iterator[Feature]:
    yield from counts(Domain.MARKETPLACE, ("view", "click"), (1, 7, 30))
    yield from breadth(Domain.MARKETPLACE, "view", "items")
    yield from rhythm(Domain.MARKETPLACE)
    yield from by_category(Domain.MARKETPLACE, categories.get("marketplace", ()), "count", 30)
