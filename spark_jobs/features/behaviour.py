"""Kinds of features that every area of behaviour has: written once, over the rows of `cell_rows`."""

import re
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from data_contracts.columns import DOMAIN, FAMILY
from data_contracts.vocabulary import Domain
from spark_jobs.features.base import (
    FAMILIES,
    Feature,
    Floats,
    Moment,
    Rows,
    days_since,
    decayed_count,
    decayed_spend,
)
from spark_jobs.features.cell_rows import CATEGORY, GROUP
from spark_jobs.features.cells import MASK_DAYS
from spark_jobs.features.sources import INTERACTIONS

Column = Callable[[Rows, Moment], Floats]


def behaviour(name: str, description: str, unit: str, column: Column, half_life_days: float | None = None) -> Feature:
    return Feature(name, description, unit, INTERACTIONS, column, half_life_days)


def counts(domain: Domain, groups: Iterable[str], half_lives: Iterable[int]) -> Iterator[Feature]:
    lives = tuple(half_lives)
    for group in groups:
        for days in lives:
            column = decayed_count({DOMAIN: domain, GROUP: group}, days)
            yield behaviour(
                f"f_{domain}_{group}_{days}d", f"decayed count of {group} in {domain}", "events", column, days
            )


def spend(domain: Domain, half_lives: Iterable[int]) -> Iterator[Feature]:
    for days in half_lives:
        column = decayed_spend({DOMAIN: domain}, days)
        yield behaviour(f"f_{domain}_spend_{days}d", f"decayed spend in {domain}", "RUB", column, days)


def breadth(domain: Domain, group: str, what: str) -> Iterator[Feature]:
    """`what`: the plural that names the feature, such as items or brands."""

    def column(rows: Rows, _: Moment) -> Floats:
        return rows.where(**{DOMAIN: domain, GROUP: group}).sum("items")

    yield behaviour(f"f_{domain}_{what}", f"distinct {what} of {group} in {domain}", what, column)


def rhythm(domain: Domain) -> Iterator[Feature]:
    """How often and how lately."""

    def active_days(rows: Rows, _: Moment) -> Floats:
        return rows.where(**{DOMAIN: domain}).bits("mask")

    told = f"days with anything in {domain}, of the last {MASK_DAYS}"
    yield behaviour(f"f_{domain}_active_days", told, "days", active_days)
    column = days_since({DOMAIN: domain})
    yield behaviour(f"f_{domain}_days_since", f"days since anything in {domain}", "days", column)


def by_category(domain: Domain, categories: Iterable[str], amount: str, half_life_days: int) -> Iterator[Feature]:
    """Decayed `amount` (count or spend) of each category. Names that read alike are told apart by their position."""
    taken: set[str] = set()
    decayed = {"count": decayed_count, "spend": decayed_spend}[amount]
    for number, category in enumerate(categories):
        slug = re.sub(r"[^a-z0-9]+", "_", category.lower()).strip("_") or "category"
        slug = f"{slug}_{number}" if slug in taken or slug == "category" else slug
        taken.add(slug)
        yield behaviour(
            f"f_{domain}_{slug}_{half_life_days}d",
            f"decayed {amount} in {domain} of category {category}",
            "RUB" if amount == "spend" else "events",
            decayed({DOMAIN: domain, CATEGORY: category}, half_life_days),
            half_life_days,
        )


def by_family(domain: Domain, group: str, what: str, half_life_days: int) -> Iterator[Feature]:
    """Decayed count of a group of actions about each product family."""
    for family in FAMILIES:
        yield behaviour(
            f"f_{domain}_{what}_{half_life_days}d_{family}",
            f"decayed count of {what} of {family} in {domain}",
            "events",
            decayed_count({DOMAIN: domain, GROUP: group, FAMILY: family}, half_life_days),
            half_life_days,
        )


def mean_weight(domain: Domain, half_life_days: int) -> Column:
    """Mean of the weights, later ones weighing more; NaN where there are none."""
    words = {DOMAIN: domain}
    total, number = decayed_spend(words, half_life_days), decayed_count(words, half_life_days)

    def column(rows: Rows, moment: Moment) -> Floats:
        weights = number(rows, moment)
        return np.divide(total(rows, moment), weights, out=np.full(rows.users, np.nan), where=weights > 0)

    return column
