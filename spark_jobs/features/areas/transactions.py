"""What a user spends at the bank, and on what."""

from collections.abc import Iterator

from data_contracts.vocabulary import Domain
from spark_jobs.features.base import Categories, Feature
from spark_jobs.features.behaviour import breadth, by_category, counts, rhythm, spend
from spark_jobs.features.streams import vocabulary


def features(_: Categories) -> Iterator[Feature]:
    yield from counts(Domain.TRANSACTIONS, ("purchase",), (1, 7, 30))
    yield from spend(Domain.TRANSACTIONS, (7, 30))
    yield from breadth(Domain.TRANSACTIONS, "purchase", "categories")
    yield from rhythm(Domain.TRANSACTIONS)
    yield from by_category(Domain.TRANSACTIONS, vocabulary().merchant_categories, "spend", 30)
