"""A user's way to and from bank products: applied, declined, opened, closed."""

from collections.abc import Iterator, Mapping

from data_contracts.columns import EVENT_TYPE, FAMILY
from data_contracts.vocabulary import ProductEvent
from spark_jobs.features.base import FAMILIES, Categories, Feature, days_since, decayed_count
from spark_jobs.features.sources import PRODUCT_EVENTS

_KINDS = (ProductEvent.APPLIED, ProductEvent.DECLINED, ProductEvent.OPENED, ProductEvent.CLOSED)


def features(_: Categories) -> Iterator[Feature]:
    for kind in _KINDS:
        yield _count(f"f_product_{kind}_30d", {EVENT_TYPE: kind}, f"decayed count of products {kind}")
    opened = {EVENT_TYPE: ProductEvent.OPENED}
    yield _since("f_product_days_since_opened", opened, "days since any product was opened")
    for family in FAMILIES:
        for kind in _KINDS:
            words = {EVENT_TYPE: kind, FAMILY: family}
            yield _count(f"f_product_{kind}_30d_{family}", words, f"decayed count of products of {family} {kind}")
        applied = {EVENT_TYPE: ProductEvent.APPLIED, FAMILY: family}
        yield _since(f"f_product_days_since_applied_{family}", applied, f"days since {family} was applied for")


def _count(name: str, words: Mapping[str, str], description: str) -> Feature:
    return Feature(name, description, "events", PRODUCT_EVENTS, decayed_count(words, 30), half_life_days=30)


def _since(name: str, words: Mapping[str, str], description: str) -> Feature:
    return Feature(name, description, "days", PRODUCT_EVENTS, days_since(words))
