"""The bank's offering as arrays: who may have which product, who wants which, and how strongly.

Products are columns in catalogue order, families columns in the order of the parameters. All functions take a block
of people and what they hold, and know nothing of days but the date that they are asked about.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from data_contracts.catalogue import Catalogue, Product, Rules
from data_contracts.policy import CompiledPolicy, Users, compile_policy, standing_drops
from infra.local.world.arrays import Bools, Bytes, Floats, bools, floats
from infra.local.world.parameters import Effects, Parameters
from infra.local.world.people import People


@dataclass(frozen=True)
class Offering:
    """`family` (p,) gives each product's family; square matrices are (p, p) with the product asked about in rows."""

    catalogue: Catalogue
    rules: Rules
    params: Parameters
    family: Bytes
    complements: Floats  # row complements column: holding the column makes the row more wanted
    upgrades: Floats
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

    def policy(self, on: date) -> CompiledPolicy:
        return compile_policy(self.catalogue, self.rules, today=on)

    def policy_of_old(self, on: date) -> CompiledPolicy:
        """As if all products were on sale: some holders bought what is not any more."""
        always = {"on_sale_from": None, "on_sale_to": None}
        products = tuple(product.model_copy(update=always) for product in self.products)
        return compile_policy(self.catalogue.model_copy(update={"products": products}), self.rules, today=on)

    def in_family(self) -> Bools:
        """(p, families): which product is of which family."""
        return bools(self.family[:, None] == np.arange(self.families)[None, :])


def build_offering(catalogue: Catalogue, rules: Rules, params: Parameters) -> Offering:
    ids = [product.product_id for product in catalogue.products]
    families = [product.family for product in catalogue.products]
    order = {family: number for number, family in enumerate(params.families)}
    return Offering(
        catalogue=catalogue,
        rules=rules,
        params=params,
        family=np.array([order[family] for family in families], dtype=np.int8),
        complements=np.array([[ids[r] in c.complements for c in catalogue.products] for r in range(len(ids))], "f4"),
        upgrades=np.array([[ids[r] in c.upgrades for c in catalogue.products] for r in range(len(ids))], "f4"),
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


def standing(people: People, policy: CompiledPolicy, *, held: Bools, day: int) -> npt.NDArray[np.uint8]:
    """(n, p): what speaks against each product, by the one policy, at the start of a day."""
    users = Users(
        holdings=held,
        birth_year=people.birth_year,
        region=people.region,
        income_band=people.income_band,
        employment=(people.employment + 1).astype(np.int8),
        score_band=people.score_band,
        arrears_days=people.arrears_days(day),
        consents=np.zeros(len(people), dtype=np.uint8),
        known=np.ones(len(people), dtype=bool),
    )
    return standing_drops(policy, users, channel=None)


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
