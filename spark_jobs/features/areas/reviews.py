"""How a user rates brands."""

from collections.abc import Iterator

from data_contracts.vocabulary import Domain
from spark_jobs.features.base import Categories, Feature
from spark_jobs.features.behaviour import behaviour, counts, mean_weight, rhythm


def features(_: Categories) -> Iterator[Feature]:
    yield from counts(Domain.REVIEWS, ("review",), (30,))
    told = "mean rating given, later ones weighing more"
    yield behaviour("f_reviews_rating_30d", told, "stars", mean_weight(Domain.REVIEWS, 30), 30)
    yield from rhythm(Domain.REVIEWS)
