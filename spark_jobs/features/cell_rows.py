"""What features read in a state of behaviour: rows with words and ages, as every other source of facts has them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

from data_contracts.catalogue import Product
from data_contracts.columns import DOMAIN, EVENT_TYPE, FAMILY, PRODUCT_ID
from data_contracts.vocabulary import Family
from spark_jobs.features.base import MICROS_PER_DAY, Bools, Moment, Rows, Words
from spark_jobs.features.cells import (
    CAMPAIGNS,
    CONTACT,
    DOMAINS,
    GROUPS,
    PRODUCT_STEPS,
    STEP,
    SUMS,
    Behaviour,
    Longs,
    place_of,
    topic_code,
)
from spark_jobs.features.streams import family_topic

GROUP, CATEGORY = "group", "category"
KEYS = (DOMAIN, GROUP, CATEGORY, FAMILY, PRODUCT_ID)
NUMBERS = (*SUMS, "items", "age", "mask")


@dataclass(frozen=True)
class Topics:
    """What topics may be about, as positions in `names`; -1 where a topic is nothing of the kind."""

    categories: tuple[str, ...]
    products: tuple[str, ...]
    family_of: Mapping[str, str]
    _codes: Longs = field(repr=False)
    _order: Longs = field(repr=False)

    @classmethod
    def of(cls, categories: Sequence[str], products: Sequence[Product]) -> Self:
        """categories: of items and merchants that have features of their own."""
        names = tuple(sorted(set(categories)))
        product_ids = tuple(product.product_id for product in products)
        family_of = {product.product_id: product.family.value for product in products}
        family_of |= {family_topic(family.value): family.value for family in Family}
        codes = np.array([topic_code(name) for name in (*names, *family_of)], np.int64)
        order = np.argsort(codes)
        return cls(names, product_ids, family_of, codes[order], order)

    def words(self, topics: Longs) -> tuple[Words, Words, Words]:
        """Category, family and product of each topic."""
        names = (*self.categories, *self.family_of)
        at = np.minimum(np.searchsorted(self._codes, topics), max(len(self._codes) - 1, 0))
        is_known = self._codes[at] == topics if len(self._codes) else np.zeros(len(topics), bool)
        place = np.where(is_known, self._order[at] if len(self._order) else 0, len(names)).astype(np.int64)
        families = tuple(sorted(set(self.family_of.values())))
        as_family = [families.index(self.family_of[name]) if name in self.family_of else -1 for name in names]
        as_product = [self.products.index(name) if name in self.products else -1 for name in names]
        as_category = [n if n < len(self.categories) else -1 for n in range(len(names))]
        return (
            Words(np.array([*as_category, -1], np.int32)[place], self.categories),
            Words(np.array([*as_family, -1], np.int32)[place], families),
            Words(np.array([*as_product, -1], np.int32)[place], self.products),
        )


@dataclass(frozen=True)
class BehaviourRows:
    """A block's behaviour by the source it came from; `is_user`: who did anything but bank events."""

    interactions: Rows
    product_events: Rows
    campaigns: Rows
    is_user: Bools


def behaviour_rows(behaviour: Behaviour, topics: Topics, moment: Moment) -> BehaviourRows:
    """Rows with `KEYS` and `NUMBERS` (of bank events: event_type instead of domain and group).

    count_ and spend_: decayed sums; items: distinct ones met of a domain and group, told in one row of each; age: days
    since the latest; mask: days with anything (see `cells.MASK_DAYS`).
    """
    cells = behaviour.cells
    domain = cells["domain"].astype(np.int32)
    is_step, is_contact = (domain == DOMAINS.index(name) for name in (PRODUCT_STEPS, CAMPAIGNS))
    rows = _rows(behaviour, topics, moment)
    is_interaction = ~is_step & ~is_contact
    is_user = np.zeros(behaviour.users, bool)
    is_user[behaviour.cell_user[is_interaction]] = True
    return BehaviourRows(
        _chosen(rows, is_interaction), _bank_rows(rows, is_step, STEP), _bank_rows(rows, is_contact, CONTACT), is_user
    )


def _rows(behaviour: Behaviour, topics: Topics, moment: Moment) -> Rows:
    cells = behaviour.cells
    category, family, product = topics.words(cells["topic"])
    keys = {
        DOMAIN: Words(cells["domain"].astype(np.int32), DOMAINS),
        GROUP: Words(cells["group"].astype(np.int32), GROUPS),
        CATEGORY: category,
        FAMILY: family,
        PRODUCT_ID: product,
    }
    numbers: dict[str, npt.NDArray[np.float64]] = {
        name: np.ascontiguousarray(cells["sums"][:, n]) for n, name in enumerate(SUMS)
    }
    numbers["age"] = (moment.micros - cells["last"]) / MICROS_PER_DAY
    numbers["mask"] = cells["mask"].astype(np.float64)
    numbers["items"] = _distinct_items(behaviour)
    return Rows(behaviour.users, behaviour.cell_user, keys, numbers)


def _distinct_items(behaviour: Behaviour) -> npt.NDArray[np.float64]:
    """Of each cell: how many items of its domain and group are known, at the first cell of both; else 0."""
    places, counts = np.unique(place_of(behaviour.item_user, behaviour.items), return_counts=True)
    own, first = np.unique(place_of(behaviour.cell_user, behaviour.cells), return_index=True)
    told = np.zeros(len(behaviour.cells), np.float64)
    at = np.minimum(np.searchsorted(own, places), max(len(own) - 1, 0))
    is_there = own[at] == places if len(own) else np.zeros(len(places), bool)
    told[first[at[is_there]]] = counts[is_there]
    return told


def _chosen(rows: Rows, mask: Bools) -> Rows:
    where = np.flatnonzero(mask)
    keys = {name: Words(words.codes[where], words.names) for name, words in rows.keys.items()}
    return Rows(rows.users, rows.user[where], keys, {name: values[where] for name, values in rows.numbers.items()})


def _bank_rows(rows: Rows, mask: Bools, prefix: str) -> Rows:
    """event_type is the group without its prefix."""
    chosen = _chosen(rows, mask)
    names = tuple(name.removeprefix(prefix) if name.startswith(prefix) else f"not {name}" for name in GROUPS)
    event_type = Words(chosen.keys[GROUP].codes, names)
    keys = {name: chosen.keys[name] for name in (FAMILY, PRODUCT_ID)}
    return Rows(chosen.users, chosen.user, {EVENT_TYPE: event_type, **keys}, chosen.numbers)
