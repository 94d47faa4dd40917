"""The bank's offering as arrays: who may have which product, who wants which, and how strongly.

Products are columns in catalogue order, families columns in the order of the parameters. All functions take a block
of people and what they hold, and know nothing of days but the date that they are asked about.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from data_contracts.catalogue import Catalogue, Product, Rules
from infra.local.world.arrays import Bools, Bytes, Floats, bools, floats
from infra.local.world.parameters import Effects, Parameters
from infra.local.world.people import EMPLOYMENTS, People


@dataclass(frozen=True)
class Offering:
    """`family` (p,) gives each product's family; square matrices are (p, p) with the product asked about in rows."""

    catalogue: Catalogue
    params: Parameters
    family: Bytes
    complements: Floats  # row complements column: holding the column makes the row more wanted
    upgrades: Floats
    excludes: Bools  # holding the column forbids the row
    needs: Bools  # one of these columns must be held, where the row has any
    product_effects: Floats
    family_effects: Floats

    @property
    def products(self) -> tuple[Product, ...]:
        return self.catalogue.products

    @property
    def families(self) -> int:
        return len(self.params.families)

    def product_number(self, product_id: str) -> int:
        return [product.product_id for product in self.products].index(product_id)

    def in_family(self) -> Bools:
        """(p, families): which product is of which family."""
        return bools(self.family[:, None] == np.arange(self.families)[None, :])


def build_offering(catalogue: Catalogue, rules: Rules, params: Parameters) -> Offering:
    ids = [product.product_id for product in catalogue.products]
    families = [product.family for product in catalogue.products]
    order = {family: number for number, family in enumerate(params.families)}

    def side(name: str) -> Bools:
        return np.array([name in (product_id, family) for product_id, family in zip(ids, families, strict=True)])

    excludes = np.zeros((len(ids), len(ids)), dtype=bool)
    for rule in rules.prohibitions:
        excludes |= np.outer(side(rule.left), side(rule.right)) | np.outer(side(rule.right), side(rule.left))
    needs = np.zeros_like(excludes)
    for demand in rules.prerequisites:
        needs[ids.index(demand.product_id)] = np.any([side(name) for name in demand.any_of], axis=0)
    np.fill_diagonal(needs, val=False)
    return Offering(
        catalogue=catalogue,
        params=params,
        family=np.array([order[family] for family in families], dtype=np.int8),
        complements=np.array([[ids[r] in c.complements for c in catalogue.products] for r in range(len(ids))], "f4"),
        upgrades=np.array([[ids[r] in c.upgrades for c in catalogue.products] for r in range(len(ids))], "f4"),
        excludes=excludes,
        needs=needs,
        product_effects=_effects(tuple(params.products[product_id] for product_id in ids), params),
        family_effects=_effects(tuple(behaviour.boost for behaviour in params.families.values()), params),
    )


def _effects(effects: tuple[Effects, ...], params: Parameters) -> Floats:
    """(causes, columns): stages, tastes, income, thrift."""
    columns = [
        [
            *(effect.stage.get(name, 0.0) for name in params.stages),
            *(effect.taste.get(name, 0.0) for name in params.tastes),
            effect.income,
            effect.thrift,
        ]
        for effect in effects
    ]
    return np.array(columns, dtype=np.float32).T


def causes(people: People, params: Parameters) -> Floats:
    """(n, causes): the hidden numbers that effects multiply."""
    stages = people.stage[:, None] == np.arange(len(params.stages))[None, :]
    return np.column_stack([stages.astype(np.float32), people.taste, people.income, people.thrift])


def eligible(people: People, offering: Offering, *, on: date, day: int) -> Bools:
    """(n, p): whom each product's own bounds admit. An unknown attribute fails every bound that needs it."""
    age = np.where(people.birth_year > 0, on.year - people.birth_year, -1)
    arrears = people.arrears_days(day)
    columns = []
    for product in offering.products:
        bounds = product.eligibility
        admitted = np.ones(len(people), dtype=bool)
        if bounds.min_age is not None:
            admitted &= age >= bounds.min_age
        if bounds.max_age is not None:
            admitted &= (age >= 0) & (age <= bounds.max_age)
        if bounds.min_income_band is not None:
            admitted &= people.income_band >= bounds.min_income_band
        if bounds.max_score_band is not None:
            admitted &= (people.score_band > 0) & (people.score_band <= bounds.max_score_band)
        if bounds.max_arrears_days is not None:
            admitted &= arrears <= bounds.max_arrears_days
        if bounds.employment is not None:
            admitted &= np.isin(people.employment, [EMPLOYMENTS.index(kind) for kind in bounds.employment])
        if bounds.regions is not None:
            admitted &= np.isin(people.region, bounds.regions)
        columns.append(admitted)
    return np.column_stack(columns)


def on_sale(offering: Offering, *, first: date, days: int) -> Bools:
    """(p,): which products are sold on every day of a period."""
    last = first + timedelta(days=days - 1)
    return np.array(
        [
            (product.on_sale_from is None or product.on_sale_from <= first)
            and (product.on_sale_to is None or product.on_sale_to >= last)
            for product in offering.products
        ]
    )


def allowed_by_rules(offering: Offering, held: Bools) -> Bools:
    """(n, p): prerequisites met and nothing held that forbids."""
    holds = held.astype(np.float32)
    forbidden = holds @ offering.excludes.T.astype(np.float32) > 0
    met = holds @ offering.needs.T.astype(np.float32) > 0
    return bools(~forbidden & (met | ~offering.needs.any(axis=1)))


def choice(features: Floats, offering: Offering, *, open_to: Bools, held: Bools) -> Floats:
    """(n, p): within each family, the chance that a product is the wanted one among those `open_to` the user."""
    effects = offering.params.holdings
    base = np.array([offering.params.products[p.product_id].base for p in offering.products], dtype=np.float32)
    holds = held.astype(np.float32)
    utility = base + features @ offering.product_effects
    utility += effects.complement * np.minimum(holds @ offering.complements.T, 1)
    utility += effects.upgrade * np.minimum(holds @ offering.upgrades.T, 1)
    weight = np.where(open_to, np.exp(utility), 0).astype(np.float32)
    member = offering.in_family().astype(np.float32)
    total = weight @ member
    return floats(weight / np.maximum(total[:, offering.family], np.float32(1e-20)))


def families_open(offering: Offering, permitted: Bools) -> Bools:
    """(n, families): in which families the user may have anything at all."""
    return permitted.astype(np.float32) @ offering.in_family().astype(np.float32) > 0
