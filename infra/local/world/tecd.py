"""The partner ecosystem in T-ECD's published layout: one day's files. Tables that have no day are in tecd_static.py.

Warts of the real thing, so that a night meets them: two spellings of actions, nulls, repeated rows, one empty day
file (retail) and one missing day (payments), receipts without a transaction.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_contracts.vocabulary import NO_TRANSACTION_HASH, Domain
from infra.local.world.arrays import Doubles, Floats, Ints, mix
from infra.local.world.crowd import Visits, Wants, draw_blocks, draw_items, draw_topics, draw_visits
from infra.local.world.parameters import Parameters
from infra.local.world.parquet import durations, hashes, large, unsigned, vectors, words, write_parquet
from infra.local.world.people import OPERATING_SYSTEMS, People
from infra.local.world.plan import Plan
from infra.local.world.responses import LIKE, offer_words, respond, shop_words
from infra.local.world.universe import OFFER_DIMENSIONS, Universe

_SUBDOMAINS = large("u2i", "i2i", "catalog", "search", "other")
_SUBDOMAIN_SHARES = (0.43, 0.18, 0.16, 0.11, 0.12)
_REVIEW_DIMENSIONS = OFFER_DIMENSIONS
_MICROSECONDS = 1_000_000
_NO_TRANSACTION = np.uint64(int(NO_TRANSACTION_HASH, 16))


@dataclass(frozen=True)
class Scene:
    """Everything that a day's files are made from."""

    plan: Plan
    params: Parameters
    people: People
    universe: Universe
    ids: dict[Domain, pa.Array]  # item ids by shelf

    def rng(self, purpose: str, day: int) -> np.random.Generator:
        return self.plan.rng("tecd " + purpose, day)

    def visits(self, rng: np.random.Generator, domain: str, day: int) -> Visits:
        share = self.people.in_tecd.astype(np.float32)
        return draw_visits(rng, self.people, self.plan, self.params, domain=domain, day=day, share=share)


def empty_day(plan: Plan) -> int:
    """The day whose retail file has no rows; -1 in worlds too short for one."""
    return plan.days // 2 if plan.days >= 4 else -1


def missing_day(plan: Plan) -> int:
    """The day without payment files."""
    return plan.days // 3 if plan.days >= 4 else -1


def write_tecd_day(scene: Scene, wants: Wants, folder: Path, *, day: int) -> dict[str, int]:
    """All files of a day; rows written by table."""
    name = f"{scene.plan.tecd_number(day):05d}.pq"
    tables = {
        f"{Domain.MARKETPLACE}/events": shop_events(scene, wants, Domain.MARKETPLACE, day=day),
        f"{Domain.RETAIL}/events": shop_events(scene, wants, Domain.RETAIL, day=day),
        f"{Domain.OFFERS}/events": offer_events(scene, wants, day=day),
        "reviews": reviews(scene, wants, day=day),
    }
    if day != missing_day(scene.plan):
        tables["payments/events"], tables["payments/receipts"] = payments(scene, wants, day=day)
    return {table: write_parquet(rows, folder / table / name) for table, rows in tables.items()}


def shop_events(scene: Scene, wants: Wants, domain: Domain, *, day: int) -> pa.Table:
    """Marketplace or retail."""
    rng = scene.rng(domain, day)
    people, params, shelf = scene.people, scene.params, scene.universe.shelves[domain]
    visits = scene.visits(rng, domain, day)
    if domain == Domain.RETAIL and day == empty_day(scene.plan):
        visits = visits.head(0)
    choices = draw_items(rng, people, wants, visits, shelf=shelf, params=params, day=day)
    acts = respond(rng, people, visits, choices, shelf=shelf, params=params)
    subdomain = rng.choice(len(_SUBDOMAINS), len(acts), p=_SUBDOMAIN_SHARES)
    no_os = rng.random(len(acts)) < params.warts.no_os
    return _with_repeats(
        rng,
        scene,
        {
            "timestamp": _timestamps(rng, acts.second, scene.plan, day),
            "user_id": unsigned(people.user_id[acts.user]),
            "item_id": words(scene.ids[domain], acts.item),
            "subdomain": words(_SUBDOMAINS, subdomain, null=acts.action == LIKE),
            "action_type": words(shop_words(day=day), acts.action),
            "os": words(large(*OPERATING_SYSTEMS), people.os[acts.user], null=no_os),
        },
    )


def offer_events(scene: Scene, wants: Wants, *, day: int) -> pa.Table:
    """Offers are shown partly to everybody alike, partly by taste; only taste makes them clicked."""
    rng = scene.rng(Domain.OFFERS, day)
    people, params, shelf = scene.people, scene.params, scene.universe.shelves[Domain.OFFERS]
    visits = scene.visits(rng, Domain.OFFERS, day)
    choices = draw_items(rng, people, wants, visits, shelf=shelf, params=params, day=day)
    alike = rng.random(len(visits)) < params.behaviour.offers_popular
    popular = shelf.popular(rng.random(len(visits), dtype=np.float32), zipf=params.behaviour.zipf)
    choices = choices.replaced(alike & ~choices.favourite, popular, people=people, user=visits.user, shelf=shelf)
    acts = respond(rng, people, visits, choices, shelf=shelf, params=params)
    return _with_repeats(
        rng,
        scene,
        {
            "timestamp": _timestamps(rng, acts.second, scene.plan, day),
            "user_id": unsigned(people.user_id[acts.user]),
            "item_id": words(scene.ids[Domain.OFFERS], acts.item),
            "action_type": words(offer_words(old=day < scene.plan.days // 3), acts.action),
        },
    )


def reviews(scene: Scene, wants: Wants, *, day: int) -> pa.Table:
    rng = scene.rng(Domain.REVIEWS, day)
    people, brands = scene.people, scene.universe.brands
    visits = scene.visits(rng, Domain.REVIEWS, day).by_time()
    topic = draw_topics(rng, people, wants, visits.user, scene.params)
    brand = brands.pick(draw_blocks(rng, people, visits.user, topic, scene.params), _draws(rng, visits))
    liked = people.taste[visits.user, topic] + rng.standard_normal(len(visits))
    embedding = rng.standard_normal((len(visits), _REVIEW_DIMENSIONS), dtype=np.float32) * np.float32(0.05)
    return pa.table(
        {
            "timestamp": _timestamps(rng, visits.second, scene.plan, day),
            "user_id": unsigned(people.user_id[visits.user]),
            "brand_id": unsigned(brands.brand_id[brand]),
            "rating": pa.array(np.clip(np.round(4 + liked), 1, 5).astype(np.uint8)),
            "embedding": vectors(embedding),
        }
    )


def payments(scene: Scene, wants: Wants, *, day: int) -> tuple[pa.Table, pa.Table]:
    """Payments to partners, and the lines of their receipts."""
    rng = scene.rng(Domain.PAYMENTS, day)
    people, params, brands = scene.people, scene.params, scene.universe.brands
    visits = scene.visits(rng, Domain.PAYMENTS, day).by_time()
    n = len(visits)
    topic = draw_topics(rng, people, wants, visits.user, params)
    block = draw_blocks(rng, people, visits.user, topic, params)
    brand = brands.pick(block, _draws(rng, visits))
    price = params.money.paid_to_partners.draw(
        people.income[visits.user], people.thrift[visits.user], rng.standard_normal(n)
    )
    paid = Payments(visits, block, price, mix(scene.plan.seed, day, np.arange(n)))
    events = {
        "timestamp": _timestamps(rng, visits.second, scene.plan, day),
        "user_id": unsigned(people.user_id[visits.user]),
        "brand_id": unsigned(brands.brand_id[brand], null=rng.random(n) < params.warts.no_payment_brand),
        "price": pa.array(price),
        "transaction_hash": hashes(paid.hash),
    }
    return _with_repeats(rng, scene, events), _receipts(rng, scene, paid, brand, day=day)


@dataclass(frozen=True)
class Payments:
    visits: Visits
    block: Ints
    price: Doubles
    hash: npt.NDArray[np.uint64]


def _receipts(rng: np.random.Generator, scene: Scene, paid: Payments, brand: Ints, *, day: int) -> pa.Table:
    """One to three lines for most payments; the item is approximate, of the payment's topic and style."""
    lines = np.repeat(np.arange(len(paid.price)), rng.integers(0, 4, len(paid.price)))
    n, params = len(lines), scene.params
    shelf = scene.universe.shelves[Domain.MARKETPLACE]
    item = shelf.pick(paid.block[lines], rng.random(n, dtype=np.float32), zipf=params.behaviour.zipf)
    count = np.where(rng.random(n) < 0.85, 1.0, np.round(rng.uniform(0.2, 5, n), 3))
    hashed = np.where(rng.random(n) < params.warts.no_transaction, _NO_TRANSACTION, paid.hash[lines])
    users = scene.people.user_id[paid.visits.user[lines]]
    return pa.table(
        {
            "timestamp": _timestamps(rng, paid.visits.second[lines], scene.plan, day),
            "user_id": unsigned(users),
            "brand_id": unsigned(
                scene.universe.brands.brand_id[brand[lines]], null=rng.random(n) < params.warts.no_receipt_brand
            ),
            "approximate_item_id": words(scene.ids[Domain.MARKETPLACE], item),
            "count": pa.array(count),
            "price": pa.array(np.round(paid.price[lines] * rng.uniform(0.2, 0.9, n), 2)),
            "transaction_hash": hashes(hashed),
        }
    )


def _draws(rng: np.random.Generator, visits: Visits) -> Floats:
    return rng.random(len(visits), dtype=np.float32)


def _timestamps(rng: np.random.Generator, seconds: Ints, plan: Plan, day: int) -> pa.Array:
    """Offsets from T-ECD's day 0."""
    start = plan.tecd_number(day) * 86_400
    return durations((start + seconds) * _MICROSECONDS + np.sort(rng.integers(0, _MICROSECONDS, len(seconds))))


def _with_repeats(rng: np.random.Generator, scene: Scene, columns: dict[str, pa.Array]) -> pa.Table:
    """Some rows come twice, to the microsecond."""
    table = pa.table(columns)
    again = np.flatnonzero(rng.random(table.num_rows) < scene.params.warts.exact_duplicates)
    return pa.concat_tables([table, table.take(pa.array(again))]).combine_chunks()
