"""What there is to look at and buy: brands and the items of three domains, each of one taste (topic) and one style.

Items lie in blocks by (topic, style), the most popular first, so an item is drawn by arithmetic. A brand belongs to
one topic and style too and sells in all domains: a user's style shows everywhere.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from data_contracts.vocabulary import Domain
from infra.local.world.arrays import Bytes, Doubles, Floats, Ints, ints
from infra.local.world.parameters import Parameters
from infra.local.world.plan import Plan

PREFIXES = {Domain.MARKETPLACE: "nfmcg_", Domain.RETAIL: "fmcg_", Domain.OFFERS: "offer_"}
SHOP_DIMENSIONS = 300
OFFER_DIMENSIONS = 312


@dataclass(frozen=True)
class Shelf:
    """The items of one domain. `number` is the digits of the id, `order` all positions from popular to rare."""

    domain: Domain
    number: Ints
    topic: Bytes
    style: Bytes
    brand: Ints  # position in Brands
    category: Ints  # which of the topic's categories
    price: Doubles
    appeal: Floats
    first: Ints  # (topics * styles + 1,) where each block begins
    order: Ints

    def __len__(self) -> int:
        """How many items."""
        return len(self.number)

    def ids(self) -> pa.Array:
        return pa.array([f"{PREFIXES[self.domain]}{number}" for number in self.number], pa.large_string())

    def pick(self, block: Ints, draw: Floats, *, zipf: float) -> Ints:
        """An item of each (topic, style) block, by popularity."""
        size = self.first[block + 1] - self.first[block]
        return ints(self.first[block] + np.minimum((size * draw.astype(np.float64) ** zipf).astype(np.int64), size - 1))

    def popular(self, draw: Floats, *, zipf: float) -> Ints:
        """An item of the whole shelf, by popularity."""
        place = (len(self) * draw.astype(np.float64) ** zipf).astype(np.int64)
        return ints(self.order[np.minimum(place, len(self) - 1)])


@dataclass(frozen=True)
class Brands:
    """`first` is where each (topic, style) block begins, as on a shelf."""

    brand_id: Ints
    block: Ints
    first: Ints
    vector: Floats

    def pick(self, block: Ints, draw: Floats) -> Ints:
        size = self.first[block + 1] - self.first[block]
        place = (size * draw.astype(np.float64) ** 1.8).astype(np.int64)
        return ints(self.first[block] + np.minimum(place, size - 1))


@dataclass(frozen=True)
class Universe:
    brands: Brands
    shelves: dict[Domain, Shelf]


def draw_universe(plan: Plan, params: Parameters) -> Universe:
    brands = _draw_brands(plan, params)
    return Universe(brands, {domain: _draw_shelf(domain, brands, plan, params) for domain in PREFIXES})


def _draw_brands(plan: Plan, params: Parameters) -> Brands:
    rng = plan.rng("brands")
    count = params.size("brands", plan.users)
    block, first = _blocks(rng, count, params)
    styles = params.behaviour.clusters
    topics = rng.standard_normal((len(params.tastes), SHOP_DIMENSIONS))
    flavours = rng.standard_normal((len(params.tastes) * styles, SHOP_DIMENSIONS))
    noise = rng.standard_normal((count, SHOP_DIMENSIONS))
    vector = topics[block // styles] + 0.7 * flavours[block] + 0.5 * noise
    return Brands(_distinct(rng, count, 2_000_000), block, first, (0.1 * vector).astype(np.float32))


def _draw_shelf(domain: Domain, brands: Brands, plan: Plan, params: Parameters) -> Shelf:
    rng = plan.rng("shelf " + domain)
    count = params.size(f"{domain}_items", plan.users)
    block, first = _blocks(rng, count, params)
    place = (np.arange(count) - first[block]) / np.maximum(first[block + 1] - first[block], 1)
    styles = params.behaviour.clusters
    topic = block // styles
    categories = np.array([len(taste.categories) for taste in params.tastes.values()])
    return Shelf(
        domain=domain,
        number=_distinct(rng, count, 30_000_000),
        topic=topic.astype(np.int8),
        style=(block % styles).astype(np.int8),
        brand=brands.pick(block, rng.random(count, dtype=np.float32)),
        category=(rng.random(count) * categories[topic]).astype(np.int64),
        price=np.clip(np.round(2.2 * rng.standard_normal(count), 4), -10, 10),
        appeal=(0.5 * rng.standard_normal(count)).astype(np.float32),
        first=first,
        order=np.argsort(place + 0.15 * rng.random(count), kind="stable"),
    )


def _blocks(rng: np.random.Generator, count: int, params: Parameters) -> tuple[Ints, Ints]:
    """Sizes of blocks differ; none is empty."""
    blocks = len(params.tastes) * params.behaviour.clusters
    spare = rng.multinomial(count - blocks, rng.dirichlet(np.full(blocks, 6.0)))
    sizes = 1 + spare
    return np.repeat(np.arange(blocks), sizes), np.concatenate([[0], np.cumsum(sizes)])


def _distinct(rng: np.random.Generator, count: int, below: int) -> Ints:
    return rng.permutation(np.cumsum(rng.integers(1, 2 * (below // (2 * count)), count)))


def item_vectors(shelf: Shelf, brands: Brands, rng: np.random.Generator) -> Floats:
    """Content embeddings as published: the brand's, and a little of its own; offers have a few dimensions more."""
    width = OFFER_DIMENSIONS if shelf.domain == Domain.OFFERS else SHOP_DIMENSIONS
    vector = 0.04 * rng.standard_normal((len(shelf), width), dtype=np.float32)
    vector[:, :SHOP_DIMENSIONS] += brands.vector[shelf.brand]
    return vector
