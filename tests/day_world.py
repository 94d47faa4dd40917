"""A tiny published world for tests of the day: products, offers, rules and users whose answers are known by heart."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from api.opted_out import user_hash
from api.store import (
    ITEMS,
    FallbackLists,
    Found,
    Lists,
    Pointers,
    PortraitFeature,
    Ranked,
    Reopened,
    RuleSet,
    SnapshotRow,
    UserState,
)
from data_contracts.catalogue import (
    Catalogue,
    Eligibility,
    LocalText,
    Product,
    Prohibition,
    ReasonCode,
    Reasons,
    Rules,
)
from data_contracts.vocabulary import Channel, Family, Variant

NOW = datetime(2026, 3, 16, 9, 0, tzinfo=UTC)
FIRST, SECOND = "2026-03-15.1", "2026-03-16.1"

_FAMILIES = {
    "card_debit": Family.CARD,
    "card_gold": Family.CARD,
    "cashback_all": Family.CASHBACK,
    "deposit_year": Family.DEPOSIT,
    "insurance_travel": Family.INSURANCE,
    "loan_cash": Family.LOAN,
    "mortgage_new": Family.MORTGAGE,
    "savings_daily": Family.SAVINGS,
}
PRODUCTS = tuple(_FAMILIES)
SAFE = frozenset({"card_debit", "deposit_year", "savings_daily"})
OFFERS = tuple(f"offer_{letter}" for letter in "abcdef")
CODES = {item_id: code for code, item_id in enumerate((*PRODUCTS, *OFFERS))}

_COMPLEMENTS = {"loan_cash": ("insurance_travel",), "mortgage_new": ("insurance_travel", "cashback_all")}
_UPGRADES = {"savings_daily": ("deposit_year",)}

CATALOGUE = Catalogue(
    version="1",
    products=tuple(
        Product(
            product_id=product_id,
            family=family,
            name=LocalText(en=f"The {product_id}", ru=f"Продукт {product_id}"),
            value=100,
            channels=(Channel.WEB,) if product_id == "cashback_all" else tuple(Channel),
            eligibility=Eligibility(min_age=21) if product_id == "loan_cash" else Eligibility(),
            safe_for_anyone=product_id in SAFE,
            complements=_COMPLEMENTS.get(product_id, ()),
            upgrades=_UPGRADES.get(product_id, ()),
        )
        for product_id, family in _FAMILIES.items()
    ),
)
RULES = Rules(
    version="1",
    prohibitions=(Prohibition(left="loan_cash", right="mortgage_new", why="too much debt"),),
    static_popular=("savings_daily", "insurance_travel", "deposit_year"),
)
REASONS = Reasons(
    version="1",
    reasons=(
        ReasonCode(code=1, name="spending", text=LocalText(en="Fits what you spend on", ru="Подходит к тратам")),
        ReasonCode(code=2, name="popular", text=LocalText(en="Popular now", ru="Популярно сейчас")),
    ),
)
RULE_SET = RuleSet(CATALOGUE, RULES, REASONS)


def ranked(*item_ids: str, score: int = 40_000) -> Ranked:
    """A list whose scores fall and whose items were all chosen for reasons 1 and 2."""
    return Ranked(
        items=[CODES[item_id] for item_id in item_ids],
        scores=[score - 100 * place for place in range(len(item_ids))],
        reasons=[1 | 2 << 8 for _ in item_ids],
    )


ALICE, BOB, CAROL, DAVE, STRANGER = 1, 2**53 + 1, 3, 4, 999
EVERYTHING = 1 | 2 | 4 | 8 | 16
STATES: Mapping[int, UserState] = {
    ALICE: UserState(segment=1, holdings=[CODES["card_debit"]], birth_year=1990, consents=EVERYTHING),
    BOB: UserState(segment=2, holdings=[], birth_year=2010, consents=EVERYTHING),  # too young for a loan
    CAROL: UserState(segment=1, holdings=[], birth_year=1980, consents=1 | 2 | 16),  # neither profiled nor for CRM
    DAVE: UserState(holdings=[]),  # seen only in behaviour: in no list of customers
}
LISTS: Mapping[int, Lists] = {
    ALICE: Lists(ranked("loan_cash", "mortgage_new", "card_debit", "card_gold"), ranked("offer_a", "offer_b")),
    BOB: Lists(
        ranked("loan_cash", "card_gold"), ranked("offer_c"), {Variant.UPLIFT: Lists(ranked("card_gold"), ranked())}
    ),
    CAROL: Lists(ranked("mortgage_new"), ranked("offer_f")),
}
FALLBACK = FallbackLists(
    popular=Lists(ranked("card_debit", "insurance_travel", score=20_000), ranked("offer_d", "offer_e", score=9_000)),
    segments={
        1: Lists(ranked("cashback_all", "insurance_travel", score=30_000), ranked("offer_b", "offer_c")),
        2: Lists(ranked("deposit_year", score=30_000), ranked()),
    },
)


def items_table() -> pa.Table:
    rows = [
        {
            "item_id": item_id,
            "kind": "product" if item_id in _FAMILIES else "offer",
            "family": _FAMILIES.get(item_id, ""),
            "name_en": "" if item_id == "offer_b" else f"The {item_id}",
            "name_ru": f"Вещь {item_id}",
        }
        for item_id in CODES
    ]
    return pa.Table.from_pylist(rows, schema=ITEMS)


@dataclass
class FakeStore:
    """The store as a dictionary a table. `failure` is raised by everything; `delay` seconds pass before an answer."""

    pointer: Pointers = field(default_factory=lambda: Pointers(snapshot_id=FIRST, rules_seq=1))
    rules: RuleSet | None = RULE_SET
    items: pa.Table = field(default_factory=items_table)
    fallback: FallbackLists = FALLBACK
    personal: Mapping[int, Lists] = field(default_factory=lambda: dict(LISTS))
    states: Mapping[int, UserState] = field(default_factory=lambda: dict(STATES))
    events: pa.Table | None = None
    lag: float | None = 0.3
    withdrawn: Mapping[Channel, Sequence[int]] = field(default_factory=lambda: {Channel.MOBILE: [], Channel.WEB: []})
    failure: Exception | None = None
    delay: float = 0
    asked: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)

    async def _reached(self) -> None:
        await asyncio.sleep(self.delay)
        if self.failure:
            raise self.failure

    async def pointers(self) -> Pointers:
        await self._reached()
        return self.pointer

    async def rule_set(self) -> RuleSet | None:
        await self._reached()
        return self.rules

    async def snapshot_items(self, snapshot_id: str) -> pa.Table:
        await self._reached()
        return self.items

    async def fallback_lists(self, snapshot_id: str) -> FallbackLists:
        await self._reached()
        return self.fallback

    async def look_up(self, snapshot_id: str, user_ids: Sequence[int], *, cut_off: int) -> Found:
        self.asked.append((snapshot_id, tuple(user_ids)))
        await self._reached()
        return Found(
            states={user_id: self.states[user_id] for user_id in user_ids if user_id in self.states},
            lists={user_id: self.personal[user_id] for user_id in user_ids if user_id in self.personal},
            events=self._events(user_ids),
        )

    def _events(self, user_ids: Sequence[int]) -> pa.Table | None:
        if self.events is None:
            return None
        found = self.events.filter(pc.is_in(self.events["user_id"], pa.array(user_ids, pa.int64())))
        return found if found.num_rows else None

    async def opted_out(self, snapshot_id: str, *, key: str) -> Mapping[Channel, NDArray[np.uint32]]:
        await self._reached()
        return {
            channel: np.array([user_hash(key, user_id) for user_id in users], np.uint32)
            for channel, users in self.withdrawn.items()
        }

    async def newly_suppressed(self, *, key: str) -> Mapping[Channel, NDArray[np.uint32]]:
        await self._reached()
        return {}

    async def newly_lifted(self, snapshot_id: str, *, key: str) -> Reopened:
        await self._reached()
        return Reopened(np.zeros(0, np.uint32), {})

    async def overlay_lag(self) -> float | None:
        await self._reached()
        return self.lag

    async def snapshots(self) -> Sequence[SnapshotRow]:
        await self._reached()
        return [SnapshotRow(self.pointer.snapshot_id, "verified", NOW)]

    async def portrait(self, snapshot_id: str, product_id: str) -> Sequence[PortraitFeature]:
        await self._reached()
        return [PortraitFeature("f_spend", 2, 1.5, None)] if product_id == "card_gold" else []

    async def close(self) -> None:
        pass
