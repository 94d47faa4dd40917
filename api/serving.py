"""All that the pointers point to, as one immutable object: whoever holds it answers from one snapshot throughout."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cached_property, lru_cache, partial
from itertools import repeat
from typing import Any, NamedTuple, Self
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from api.store import ITEMS, FallbackLists, Lists, RuleSet
from data_contracts.catalogue import Catalogue, LocalText, Reasons, Rules
from data_contracts.columns import ITEM_ID, KIND
from data_contracts.context import REASONS, Relations
from data_contracts.experiments import NO_TRIALS, Trials, running_on
from data_contracts.night import parse_snapshot_id
from data_contracts.policy import CompiledPolicy, compile_policy
from data_contracts.vocabulary import Family, Kind, Tier

NO_SCORE = -1

NO_RULES = RuleSet(
    catalogue=Catalogue(version="none", products=()),
    rules=Rules(version="none"),
    reasons=Reasons(version="none", reasons=()),
)


class Candidate(NamedTuple):
    """An item that may be answered. `index`: position in the serving catalogue of a product, item code of an offer.

    A tuple, since a look-up makes dozens of them and a frozen dataclass takes four times as long to make.
    """

    index: int  # type: ignore[assignment]  # in place of a tuple's method of this name
    score: int  # as stored; NO_SCORE where nobody scored it
    reasons: int  # as stored
    tier: Tier
    kind: Kind


Candidates = tuple[Candidate, ...]
_CANDIDATE: Callable[[Any], Candidate] = partial(tuple.__new__, Candidate)  # half the time of Candidate._make


@dataclass(frozen=True)
class Snapshot:
    """What memory holds of a snapshot. Not `is_whole`: only its popular lists, as saved on disk, with other codes."""

    snapshot_id: str = ""
    items: pa.Table = field(default_factory=ITEMS.empty_table)
    fallback: FallbackLists = field(default_factory=FallbackLists)
    is_whole: bool = False

    @cached_property
    def offer_codes(self) -> Mapping[str, int]:
        """Item codes of offers by their ids, made once a snapshot: events name items by id."""
        ids, kinds = self.items[ITEM_ID].to_pylist(), self.items[KIND].to_pylist()
        return {
            item_id: code
            for code, (item_id, kind) in enumerate(zip(ids, kinds, strict=True))
            if kind == Kind.OFFER.value
        }

    @cached_property
    def as_of(self) -> date | None:
        return parse_snapshot_id(self.snapshot_id)[0] if self.snapshot_id else None

    def cut_off(self, timezone: ZoneInfo) -> datetime | None:
        """The moment up to which it has seen every source: 00:00 of its as-of date."""
        return _midnight(self.as_of, timezone) if self.as_of else None


@dataclass(frozen=True)
class Serving:
    """Snapshot, rules and blocks, compiled for one day.

    `position`: item code of a product -> its position in the serving catalogue, -1 where that has it no longer.
    `values`: of the catalogue's products; `is_of_family` [P] by family.
    `tails`: what follows a personal list, by kind and segment (segment's list, popular, static); `popular_tails` the
    same without a segment. `without_user`: what is answered when nothing can be learnt of the user.
    `trials`: with the experiments that run that day.
    """

    snapshot: Snapshot
    rule_set: RuleSet
    blocks: frozenset[str]
    policy: CompiledPolicy
    is_blocked_item: NDArray[np.bool_]  # by item code
    position: Sequence[int]
    values: NDArray[np.float64]
    relations: Relations
    is_of_family: Mapping[str, NDArray[np.bool_]]
    tails: Mapping[tuple[Kind, int], Candidates]
    popular_tails: Mapping[Kind, Candidates]
    without_user: Mapping[Kind, Candidates]
    reason_texts: Mapping[int, LocalText]
    trials: Trials = NO_TRIALS
    # Written once for all answers, which fill them: reasons by what is stored and locale; id, name and family of a
    # product by its position and locale.
    told_reasons: dict[tuple[int, str], Sequence[Mapping[str, Any]]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )
    told_products: dict[tuple[int, str], tuple[str, str, str | None]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    @classmethod
    def of(
        cls,
        snapshot: Snapshot,
        rule_set: RuleSet,
        blocks: frozenset[str],
        *,
        today: date,
        trials: Trials = NO_TRIALS,
    ) -> Self:
        """`today` in the bank's time zone."""
        _ = snapshot.offer_codes
        policy = compile_policy(rule_set.catalogue, rule_set.rules, today=today, blocks=blocks)
        ids, is_product = snapshot.items[ITEM_ID], pc.equal(snapshot.items[KIND], Kind.PRODUCT.value)
        position = [policy.position.get(product_id, -1) for product_id in ids.filter(is_product).to_pylist()]
        static = {Kind.PRODUCT: _static_products(rule_set.rules, policy), Kind.OFFER: ()}
        fallback = snapshot.fallback
        popular_tails = {
            kind: (*candidates(fallback.popular, kind, position, Tier.POPULAR), *static[kind]) for kind in Kind
        }
        return cls(
            snapshot=snapshot,
            rule_set=rule_set,
            blocks=blocks,
            policy=policy,
            is_blocked_item=np.asarray(pc.is_in(ids, pa.array(sorted(policy.blocked_ids), pa.string())), np.bool_),
            position=position,
            values=np.array([product.value for product in rule_set.catalogue.products], dtype=np.float64),
            relations=Relations.of(rule_set.catalogue),
            is_of_family={family.value: policy.family == number for number, family in enumerate(Family)},
            tails={
                (kind, segment): (*candidates(lists, kind, position, Tier.SEGMENT), *popular_tails[kind])
                for segment, lists in fallback.segments.items()
                for kind in Kind
            },
            popular_tails=popular_tails,
            without_user={
                kind: (*candidates(fallback.popular, kind, position, Tier.STATIC), *static[kind]) for kind in Kind
            },
            reason_texts={reason.code: reason.text for reason in (*REASONS, *rule_set.reasons.reasons)},
            trials=replace(trials, experiments=running_on(trials.experiments, today)),
        )

    def tail(self, kind: Kind, segment: int) -> Candidates:
        return self.tails.get((kind, segment), self.popular_tails[kind])

    @property
    def snapshot_id(self) -> str:
        return self.snapshot.snapshot_id


@lru_cache(maxsize=16)
def _midnight(day: date, timezone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=timezone)


def candidates(lists: Lists, kind: Kind, position: Sequence[int], tier: Tier) -> Candidates:
    """A stored list as candidates; products that the serving catalogue no longer has are left out."""
    ranked = lists.of(kind)
    indexes = [position[item] for item in ranked.items] if kind is Kind.PRODUCT else ranked.items
    rows = zip(indexes, ranked.scores, ranked.reasons, repeat(tier), repeat(kind), strict=False)
    found = tuple(map(_CANDIDATE, rows))
    return tuple(one for one in found if one.index >= 0) if indexes and min(indexes) < 0 else found


def _static_products(rules: Rules, policy: CompiledPolicy) -> Candidates:
    known = [policy.position[product_id] for product_id in rules.static_popular if product_id in policy.position]
    return tuple(Candidate(index, NO_SCORE, 0, Tier.STATIC, Kind.PRODUCT) for index in known)
