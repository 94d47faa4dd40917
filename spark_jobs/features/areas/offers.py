"""How a user answers partners' offers."""

from collections.abc import Iterator

from data_contracts.vocabulary import Domain
from spark_jobs.features.base import Categories, Feature
from spark_jobs.features.behaviour import breadth, counts, rhythm


def features(_: Categories) -> Iterator[Feature]:
    yield from counts(Domain.OFFERS, ("view", "click"), (1, 7, 30))
    yield from breadth(Domain.OFFERS, "click", "items")
    yield from rhythm(Domain.OFFERS)
