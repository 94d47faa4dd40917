"""What features are made of: the silver tables, read once and handed around as one value."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from data_contracts.catalogue import Product
from data_contracts.columns import ITEM_ID
from spark_jobs.features.base import Categories
from spark_jobs.lake.reference import read_reference
from spark_jobs.lake.tables import read_table

# Categories of a shop that have features of their own: those with most items, then by name.
TOP_CATEGORIES = 20


@dataclass(frozen=True)
class Silver:
    """Frames in the columns of their silver contracts. `customers` and `aggregates` hold what
    was known from when to when: ask `ingest.validity` for a date.

    `products` come from the catalogue, in product_id order, none where no catalogue was delivered. `categories`: by
    T-ECD domain, the item categories that have features of their own.
    """

    interactions: DataFrame
    customers: DataFrame
    holdings: DataFrame
    aggregates: DataFrame
    product_events: DataFrame
    campaign_interactions: DataFrame
    items: DataFrame
    people: DataFrame
    products: tuple[Product, ...]
    categories: Categories

    @cached_property
    def has_customers(self) -> bool:
        """Whether any were ever delivered."""
        return not self.customers.isEmpty()


def read_silver(spark: SparkSession, lake: str) -> Silver:
    """The lake as it is; what is later than an as-of is left out by whoever looks from there."""
    items = read_table(spark, lake, "silver.items")
    return Silver(
        interactions=read_table(spark, lake, "silver.interactions"),
        customers=read_table(spark, lake, "silver.customers"),
        holdings=read_table(spark, lake, "silver.holdings"),
        aggregates=read_table(spark, lake, "silver.aggregates"),
        product_events=read_table(spark, lake, "silver.product_events"),
        campaign_interactions=read_table(spark, lake, "silver.campaign_interactions"),
        items=items,
        people=read_table(spark, lake, "silver.people"),
        products=read_reference(lake).catalogue.products,
        categories=top_categories(items),
    )


def top_categories(items: DataFrame) -> Categories:
    """`categories_of` all items, counted by Spark."""
    counted = items.groupBy("domain", "category").agg(F.count(ITEM_ID).alias("items")).collect()
    return _top({(row["domain"], row["category"]): row["items"] for row in counted})


def categories_of(items: Iterable[tuple[str, str | None]]) -> Categories:
    """The categories with most items of each domain, in order of their names. items: domain and category of each."""
    return _top(Counter(items))


def _top(counted: Mapping[tuple[str, str | None], int]) -> Categories:
    by_domain: dict[str, list[str]] = {}
    for (domain, category), _ in sorted(counted.items(), key=lambda one: (one[0][0], -one[1], one[0][1] or "")):
        if category is not None:
            by_domain.setdefault(domain, []).append(category)
    return {domain: tuple(sorted(names[:TOP_CATEGORIES])) for domain, names in by_domain.items()}
