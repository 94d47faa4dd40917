"""Boosts to orders: what events and context add to items puts a batch's candidates in order anew. Pure and vectorised.

An item's worth is its probability times, for a product, its value, as the night ranked it; a boost of b makes of a
probability p the one whose log-odds are b more. Candidates that nothing boosts keep their order, whatever their worths
say, and a boosted one goes up past all that are worth less than it is now (a tired one down past those worth more).
Only the order is made so: scores stay the calibrated probabilities.
"""

from collections.abc import Sequence
from itertools import chain
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from api.overlay_changes import Changes
from api.serving import Candidates, Serving
from data_contracts.overlay.kinds import MOST_BOOST
from data_contracts.scores import dequantise, log_odds
from data_contracts.vocabulary import Kind

Items = NDArray[np.int32]
Floats = NDArray[np.float64]
_INDEX = attrgetter("index")


def arranged(
    serving: Serving,
    user_ids: Sequence[int],
    found: Sequence[Candidates],
    *,
    kind: Kind,
    emphasised: Floats,
    changes: Changes | None,
) -> tuple[list[Candidates], Items]:
    """Candidates of one kind for N users, best first, and the same as item numbers [N, L], -1 for none.

    `emphasised` [N, P]: log-odds of products by context.
    """
    shape = (len(found), max(1, *map(len, found)))
    is_item = np.arange(shape[1]) < np.array([len(one) for one in found])[:, None]
    items = np.full(shape, -1, dtype=np.int32)
    items[is_item] = list(map(_INDEX, chain.from_iterable(found)))
    boosts = _boosts(user_ids, items, kind=kind, emphasised=emphasised, changes=changes)
    boosted = np.flatnonzero(boosts.any(axis=1))
    best = list(found)
    if not len(boosted):
        return best, items
    scores = np.zeros((len(boosted), shape[1]))
    # The static list has no scores: nothing there is worth more than the least of what was scored.
    scores[is_item[boosted]] = [max(one.score, 0) for row in boosted.tolist() for one in found[row]]
    order = order_by_worth(serving, items[boosted], scores, boosts[boosted], kind=kind)
    items[boosted] = np.take_along_axis(items[boosted], order, axis=1)
    for row, places in zip(boosted.tolist(), order.tolist(), strict=True):
        best[row] = tuple([found[row][place] for place in places[: len(found[row])]])
    return best, items


def order_by_worth(serving: Serving, items: Items, scores: Floats, boosts: Floats, *, kind: Kind) -> NDArray[np.intp]:
    """Places of candidates [N, L], best first, those without an item (-1) last. `scores` as stored, 0 where none."""
    values = np.append(serving.values, 1.0)[items] if kind is Kind.PRODUCT else np.ones(items.shape)
    return np.argsort(-_worth(scores, boosts, values, items >= 0), axis=1, kind="stable")


def _boosts(
    user_ids: Sequence[int], items: Items, *, kind: Kind, emphasised: Floats, changes: Changes | None
) -> Floats:
    """[N, L]: log-odds that events and context add to items, cut as each of them is."""
    if kind is Kind.OFFER:
        return changes.offer_boosts(user_ids, items) if changes else np.zeros(items.shape)
    total = emphasised + changes.product_boosts(user_ids) if changes else emphasised
    # The last column answers for -1, no item.
    total = np.append(np.clip(total, -MOST_BOOST, MOST_BOOST), np.zeros((len(items), 1)), axis=1)
    return np.asarray(total[np.arange(len(items))[:, None], items])


def _worth(scores: Floats, boosts: Floats, values: Floats, is_item: NDArray[np.bool_]) -> Floats:
    stands = np.minimum.accumulate(np.where(is_item, dequantise(scores) * values, np.inf), axis=1)
    now = values / (1.0 + np.exp(-(log_odds(scores) + boosts)))
    raised = np.where(boosts > 0, np.maximum(stands, now), stands)
    return np.where(is_item, np.where(boosts < 0, np.minimum(stands, now), raised), -np.inf)
