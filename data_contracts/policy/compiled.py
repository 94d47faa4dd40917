"""Catalogue and rules as arrays over products, so that a decision is only look-ups and comparisons.

A name in a rule (a side of a prohibition, a prerequisite) means the product of that id and every product of the
family of that name. A catalogue keeps products that may still be held, with their sale ended, since rules on holders
can only speak of products that are in it.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from data_contracts.catalogue import Catalogue, Eligibility, Product, Rules
from data_contracts.policy.bits import Bools, as_words, united_by_byte
from data_contracts.policy.placing import PlacingTables
from data_contracts.policy.words import AttributeTables, StandingWords
from data_contracts.vocabulary import Channel, Employment, Family

_FAMILIES = tuple(Family)
_EMPLOYMENTS = tuple(Employment)
OLDEST = 150
# Of users, what eligibility asks; of the year of birth, how long ago it is.
ATTRIBUTES = ("birth_year", "income_band", "score_band", "employment", "region", "arrears_days")


@dataclass(frozen=True)
class CompiledPolicy:
    """All rules for one day, over P products in catalogue order and F families."""

    today: date
    hash: str
    product_ids: tuple[str, ...]
    position: Mapping[str, int]
    sold: Bools  # [P]
    blocked: Bools  # [P]
    blocked_ids: frozenset[str]  # products and offers
    prohibited: NDArray[np.float32]  # [P, P], symmetric, 1 where two products never go together
    has_prerequisite: Bools  # [P]
    opens: NDArray[np.float32]  # [P, P], 1 where holding the row's product meets the column's prerequisite
    family: NDArray[np.int64]  # [P]
    words: StandingWords
    placing: PlacingTables

    @property
    def products(self) -> int:
        return len(self.product_ids)


def compile_policy(
    catalogue: Catalogue, rules: Rules, *, today: date, blocks: Iterable[str] = frozenset()
) -> CompiledPolicy:
    """The policy of one day in the bank's time zone. `blocks`: items stopped since the rules were approved."""
    products = catalogue.products
    blocked_ids = frozenset(rules.blocked_items) | frozenset(blocks)
    prohibited, opens = _prohibited(products, rules), _opens(products, rules)
    family = np.array([_FAMILIES.index(product.family) for product in products], dtype=np.int64)
    caps = np.array([rules.family_caps.get(family, rules.default_family_cap) for family in _FAMILIES])
    sold = _flags(products, lambda product: _is_sold(product, today))
    blocked = _flags(products, lambda product: product.product_id in blocked_ids)
    return CompiledPolicy(
        today=today,
        hash=policy_hash(catalogue, rules, blocks),
        product_ids=tuple(product.product_id for product in products),
        position={product.product_id: position for position, product in enumerate(products)},
        sold=sold,
        blocked=blocked,
        blocked_ids=blocked_ids,
        prohibited=prohibited.astype(np.float32),
        has_prerequisite=_needing(products, rules),
        opens=opens.astype(np.float32),
        family=family,
        words=StandingWords(
            not_sold=as_words(~sold[None]),
            blocked=as_words(blocked[None]),
            not_safe=as_words(~_flags(products, lambda product: product.safe_for_anyone)[None]),
            not_offered={channel: as_words(~_offered_in(products, channel)[None]) for channel in Channel},
            eligibility=AttributeTables.of(_eligibility(products)),
            prohibited_by_held=united_by_byte(prohibited),
            prerequisite=as_words(_needing(products, rules)[None]),
            opened_by_held=united_by_byte(opens),
            everything=as_words(np.ones((1, len(products)), np.bool_)),
        ),
        placing=PlacingTables.of(prohibited, family, caps),
    )


def policy_hash(catalogue: Catalogue, rules: Rules, blocks: Iterable[str]) -> str:
    """16 hex digits that change when anything that decides on showing changes; the order of blocks does not matter."""
    parts = {
        "catalogue": catalogue.model_dump(mode="json"),
        "rules": rules.model_dump(mode="json"),
        "blocks": sorted(set(blocks)),
    }
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _flags(products: tuple[Product, ...], test: Callable[[Product], bool]) -> Bools:
    return np.array([test(product) for product in products], dtype=np.bool_)


def _offered_in(products: tuple[Product, ...], channel: Channel) -> Bools:
    return _flags(products, lambda product: channel in product.channels)


def _is_sold(product: Product, today: date) -> bool:
    has_begun = product.on_sale_from is None or product.on_sale_from <= today
    has_ended = product.on_sale_to is not None and product.on_sale_to < today
    return has_begun and not has_ended


def _named(products: tuple[Product, ...], names: Iterable[str]) -> Bools:
    wanted = set(names)
    return _flags(products, lambda product: product.product_id in wanted or product.family.value in wanted)


def _prohibited(products: tuple[Product, ...], rules: Rules) -> Bools:
    together = np.zeros((len(products), len(products)), dtype=np.bool_)
    for rule in rules.prohibitions:
        together |= np.outer(_named(products, [rule.left]), _named(products, [rule.right]))
    # A product is never at odds with itself, also where a rule's two sides overlap.
    return np.asarray((together | together.T) & ~np.eye(len(products), dtype=np.bool_))


def _prerequisites(rules: Rules) -> dict[str, tuple[str, ...]]:
    return {rule.product_id: rule.any_of for rule in rules.prerequisites}


def _needing(products: tuple[Product, ...], rules: Rules) -> Bools:
    needs = _prerequisites(rules)
    return _flags(products, lambda product: product.product_id in needs)


def _opens(products: tuple[Product, ...], rules: Rules) -> Bools:
    needs = _prerequisites(rules)
    opens = np.zeros((len(products), len(products)), dtype=np.bool_)
    for position, product in enumerate(products):
        opens[:, position] = _named(products, needs.get(product.product_id, ()))
    return opens


def _at_least(bound: int | None, value: int | None) -> bool:
    return bound is None or (value is not None and value >= bound)


def _at_most(bound: int | None, value: int | None) -> bool:
    return bound is None or (value is not None and value <= bound)


def _one_of(allowed: Sequence[object] | None, value: object) -> bool:
    return allowed is None or value in allowed


def _age(bounds: Eligibility, years: int | None) -> bool:
    """Only the year of birth is known, so someone is `years` old or one less: both must fit."""
    return _at_least(bounds.min_age, None if years is None else years - 1) and _at_most(bounds.max_age, years)


def _employment(bounds: Eligibility, code: int | None) -> bool:
    return _one_of(bounds.employment, None if code is None else _EMPLOYMENTS[code - 1])


def _eligibility(products: tuple[Product, ...]) -> list[tuple[int, Bools]]:
    """One table an attribute: its first known value, and its rows."""
    bounds = [product.eligibility for product in products]
    last_region = max((region for bound in bounds for region in bound.regions or ()), default=0)
    most_arrears = max((bound.max_arrears_days or 0 for bound in bounds), default=0)
    tables = {
        "birth_year": _table(bounds, range(OLDEST + 1), _age),
        "income_band": _table(bounds, range(5), lambda bound, value: _at_least(bound.min_income_band, value)),
        "score_band": _table(bounds, range(1, 6), lambda bound, value: _at_most(bound.max_score_band, value)),
        "employment": _table(bounds, range(1, len(_EMPLOYMENTS) + 1), _employment),
        # One value beyond the largest that any bound names stands for all the others.
        "region": _table(bounds, range(last_region + 2), lambda bound, value: _one_of(bound.regions, value)),
        "arrears_days": _table(
            bounds, range(most_arrears + 2), lambda bound, value: _at_most(bound.max_arrears_days, value)
        ),
    }
    return [tables[name] for name in ATTRIBUTES]


def _table(
    bounds: list[Eligibility], values: range, admits: Callable[[Eligibility, int | None], bool]
) -> tuple[int, Bools]:
    rows = [[admits(bound, value) for bound in bounds] for value in (None, *values)]
    return values.start, np.array(rows, dtype=np.bool_).reshape(len(values) + 1, len(bounds))
