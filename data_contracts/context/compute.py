"""Contexts and holdings to boosts and reasons. Pure and vectorised: one question and a thousand take the same path."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from data_contracts.catalogue import Catalogue
from data_contracts.context.kinds import KINDS, NO_CONTEXT, PLACEMENTS, SCREENS, Context, Raises, Source
from data_contracts.vocabulary import Family, Kind

Bools = NDArray[np.bool_]
Item = TypeVar("Item")

_FAMILIES = tuple(Family)


@dataclass(frozen=True)
class Relations:
    """Of a catalogue of P products; row to column in `related`: the column is an upgrade, a complement, of the row."""

    position: Mapping[str, int]
    is_of_family: NDArray[np.float32]  # [F, P]
    related: Mapping[Raises, NDArray[np.float32]]  # [P, P]

    @classmethod
    def of(cls, catalogue: Catalogue) -> Self:
        products = catalogue.products
        position = {product.product_id: number for number, product in enumerate(products)}
        families = np.array([_FAMILIES.index(product.family) for product in products], dtype=np.int64)
        related = {
            raises: np.zeros((len(products),) * 2, np.float32) for raises in (Raises.UPGRADES, Raises.COMPLEMENTS)
        }
        for row, product in enumerate(products):
            related[Raises.UPGRADES][row, [position[one] for one in product.upgrades]] = 1
            related[Raises.COMPLEMENTS][row, [position[one] for one in product.complements]] = 1
        return cls(position, (np.arange(len(_FAMILIES))[:, None] == families).astype(np.float32), related)


@dataclass(frozen=True)
class Emphasis:
    """Of Q questions and P products."""

    boosts: NDArray[np.float64]  # [Q, P], log-odds
    reasons: NDArray[np.uint8]  # [Q, P], 0 for none


def emphasis(relations: Relations, contexts: Sequence[Context], held: Bools) -> Emphasis:
    """`held` [Q, P]: what may speak for others, since its user holds it and may be profiled."""
    boosts, reasons = np.zeros(held.shape), np.zeros(held.shape, dtype=np.uint8)
    for kind in KINDS:
        raised = _raised(relations, contexts, held, kind.source, kind.raises)
        if raised is not None:
            boosts[raised] += kind.strength
            reasons[raised & (reasons == 0)] = kind.reason
    return Emphasis(boosts, reasons)


def _raised(
    relations: Relations, contexts: Sequence[Context], held: Bools, source: Source, raises: Raises
) -> Bools | None:
    """[Q, P]; None where no question has the source."""
    if source is Source.HELD:
        sources = held if held.any() else None
    elif all(context is NO_CONTEXT for context in contexts):
        return None
    elif raises is Raises.FAMILIES:
        sources = _marked([_families(context, source) for context in contexts], len(_FAMILIES))
    else:
        sources = _marked([_items(relations, context, source) for context in contexts], held.shape[1])
    if sources is None:
        return None
    related = relations.is_of_family if raises is Raises.FAMILIES else relations.related[raises]
    return np.asarray(sources.astype(np.float32) @ related > 0)


def _families(context: Context, source: Source) -> list[int]:
    found: tuple[Family, ...]
    if source is Source.SEARCH:
        found = (context.search,) if context.search else ()
    elif source is Source.SCREEN:
        found = SCREENS[context.screen] if context.screen else ()
    else:
        found = PLACEMENTS[context.placement].families if context.placement else ()
    return [_FAMILIES.index(family) for family in found]


def _items(relations: Relations, context: Context, source: Source) -> list[int]:
    named = context.cart if source is Source.CART else (context.basket_product or "",)
    return [relations.position[item_id] for item_id in named if item_id in relations.position]


def _marked(places: Sequence[Sequence[int]], width: int) -> Bools | None:
    if not any(places):
        return None
    marks = np.zeros((len(places), width), dtype=np.bool_)
    for row, columns in enumerate(places):
        marks[row, list(columns)] = True
    return marks


def woven(pattern: Sequence[Kind], lists: Mapping[Kind, Sequence[Item]], most: int) -> list[Item]:
    """Lists in one, each in its order, in the pattern's turns as long as there are both, then what is left."""
    if len(set(pattern)) == 1:
        return list(lists[pattern[0]][:most])
    left = {kind: iter(lists[kind]) for kind in dict.fromkeys(pattern)}
    mixed: list[Item] = []
    turns = cycle(pattern)
    while left and len(mixed) < most:
        kind = next(turns)
        if kind in left:
            try:
                mixed.append(next(left[kind]))
            except StopIteration:
                del left[kind]
    return mixed
