"""What a user pays to partners' brands."""

from collections.abc import Iterator

from data_contracts.vocabulary import Domain
from spark_jobs.features.base import Categories, Feature
from spark_jobs.features.behaviour import breadth, counts, rhythm, spend


def features(_: Categories) -> Iterator[Feature]:
    yield from counts(Domain.PAYMENTS, ("purchase",), (1, 7, 30))
    yield from spend(Domain.PAYMENTS, (7, 30))
    yield from breadth(Domain.PAYMENTS, "purchase", "brands")
    yield from rhythm(Domain.PAYMENTS)
