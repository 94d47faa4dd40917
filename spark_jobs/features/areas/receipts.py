"""What a user's receipts say was bought."""

from collections.abc import Iterator

from data_contracts.vocabulary import Domain
from spark_jobs.features.base import Categories, Feature
from spark_jobs.features.behaviour import breadth, counts, rhythm, spend


def features(_: Categories) -> Iterator[Feature]:
    yield from counts(Domain.RECEIPTS, ("purchase",), (7, 30))
    yield from spend(Domain.RECEIPTS, (7, 30))
    yield from breadth(Domain.RECEIPTS, "purchase", "items")
    yield from rhythm(Domain.RECEIPTS)
