"""Everybody's lists at once: the steps of `layout` and `recommend` over arrays, a crowd at a time. Pure.

One policy, one overlay, one order by worth: this only lays out for them in matrices what a look-up lays out in tuples,
and tests hold both to the same answers. Most users' answers are found in the own list alone; who is not served by it,
or is reordered by events or holdings, is decided again with what follows it.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from api.arranging import order_by_worth
from api.crowds import Crowd, Ground
from api.ranks import Ranks
from data_contracts.experiments import drawn
from data_contracts.policy import kept, kept_offers
from data_contracts.policy.users import CHANNEL_CONSENT
from data_contracts.vocabulary import Kind

Bools = NDArray[np.bool_]
Places = NDArray[np.intp]

# Of what follows an own list, so much is tried before all of it.
_NEXT = 20


def lists_of(ground: Ground, crowd: Crowd) -> Ranks:
    """What each user is shown [N, top_k], from the left."""
    shown = Ranks.none(len(crowd), ground.wanted.top_k)
    is_open, is_plain = np.ones(len(crowd), np.bool_), crowd.boosted < 0
    longest = ground.tails(crowd.segments[:1]).width
    for tail, may_do in ((0, crowd.has_own & is_plain), (_NEXT, is_plain), (longest, np.ones_like(is_plain))):
        rows = np.flatnonzero(is_open & may_do)
        if not len(rows) or _NEXT == tail >= longest:
            continue
        ranks, keep = _decided(ground, crowd, rows, tail)
        is_done = (keep.sum(axis=1) == ground.wanted.top_k) | (tail == longest)
        shown.put(rows, ranks, keep & is_done[:, None])
        is_open[rows[is_done]] = False
    return _explored(ground, crowd, _with_reasons(ground, crowd, shown))


def still_shown(ground: Ground, crowd: Crowd, items: NDArray[np.int32]) -> Bools:
    """Of lists that were made before [N, L], best first, -1 for none: what may be shown of them now."""
    listed, everybody = Ranks.none(*items.shape), np.ones(len(crowd), np.bool_)
    listed.items[:] = items
    as_it_is = replace(crowd, own=listed, has_own=everybody, boosted=np.full(len(crowd), -1))
    return _decided(ground, as_it_is, np.arange(len(crowd)), 0)[1]


def _decided(ground: Ground, crowd: Crowd, rows: Places, tail: int) -> tuple[Ranks, Bools]:
    """Candidates of some rows with so much of what follows their own lists, best first, and what is kept of them."""
    own = crowd.own[rows]
    own.items[~crowd.has_own[rows]] = -1
    ranks = own.beside(ground.tails(crowd.segments[rows]).cut(tail)) if tail else own
    items = ranks.items
    items[ground.is_unwanted[items]] = -1
    _suppress(ground, crowd, rows, items)
    _keep_back(ground, crowd, rows, items)
    ranks = _arranged(ground, crowd, rows, ranks)
    wanted, serving, users = ground.wanted, ground.serving, crowd.users[rows]
    if wanted.kind is Kind.PRODUCT:
        return ranks, kept(serving.policy, users, ranks.items, channel=wanted.channel, top_k=wanted.top_k)
    blocked = serving.is_blocked_item
    return ranks, kept_offers(users, ranks.items, blocked=blocked, channel=wanted.channel, top_k=wanted.top_k)


def _suppress(ground: Ground, crowd: Crowd, rows: Places, items: NDArray[np.int32]) -> None:
    """Take out what events do, and everything of who has withdrawn from the channel."""
    changes = crowd.changes
    channel = CHANNEL_CONSENT[ground.wanted.channel]
    changed = np.flatnonzero(crowd.row[rows] >= 0)
    if changes is None or not len(changed):
        return
    row = crowd.row[rows[changed]]
    if ground.wanted.kind is Kind.PRODUCT:
        here = changes.suppressed & channel != 0
        gone = np.append(here, np.zeros((len(here), 1), np.bool_), axis=1)
        found = items[changed]
        found[gone[row[:, None], found]] = -1
        items[changed] = found
    else:
        for place, one in zip(changed.tolist(), row.tolist(), strict=True):
            suppressed = changes.offers[one].suppressed if one in changes.offers else {}
            codes = [code for code, channels in suppressed.items() if channels & channel]
            items[place, np.isin(items[place], codes)] = -1
    items[changed[(changes.withdrawn[row] & channel) != 0]] = -1


def _keep_back(ground: Ground, crowd: Crowd, rows: Places, items: NDArray[np.int32]) -> None:
    """Take out what the contact policy does."""
    back, channel = crowd.changes.kept_back if crowd.changes else None, ground.wanted.channel
    places = np.flatnonzero(crowd.kept_back[rows] >= 0)
    if back is None or channel not in back.refused or not len(places):
        return
    refused, found = back.refused[channel][crowd.kept_back[rows[places]]], items[places]
    by_item = found if ground.wanted.kind is Kind.PRODUCT else np.full_like(found, -1)
    items[places] = np.where(np.take_along_axis(refused, by_item % refused.shape[1], axis=1), -1, found)


def _arranged(ground: Ground, crowd: Crowd, rows: Places, ranks: Ranks) -> Ranks:
    places = np.flatnonzero(crowd.boosted[rows] >= 0)
    if not len(places):
        return ranks
    kind, some = ground.wanted.kind, ranks[places]
    boosts = _item_boosts(ground, crowd, rows[places], some.items)
    is_boosted = boosts.any(axis=1)
    scores = np.maximum(some.scores, 0).astype(np.float64)
    order = order_by_worth(ground.serving, some.items, scores, boosts, kind=kind)
    order[~is_boosted] = np.arange(ranks.width)
    ranks.put_rows(places, some.in_order(order))
    return ranks


def _item_boosts(ground: Ground, crowd: Crowd, rows: Places, items: NDArray[np.int32]) -> NDArray[np.float64]:
    if ground.wanted.kind is Kind.OFFER:
        return (
            crowd.changes.offer_boosts([crowd.user_ids[row] for row in rows], items) if crowd.changes else items * 0.0
        )
    total = np.append(crowd.boosts, np.zeros((len(crowd.boosts), 1)), axis=1)
    return np.asarray(total[crowd.boosted[rows][:, None], items])


def _with_reasons(ground: Ground, crowd: Crowd, shown: Ranks) -> Ranks:
    """Products that holdings raise say so first."""
    rows = np.flatnonzero(crowd.boosted >= 0)
    if ground.wanted.kind is Kind.OFFER or not len(rows):
        return shown
    codes = np.append(crowd.said.reasons, np.zeros((len(crowd.said.reasons), 1), np.uint8), axis=1)
    code = codes[crowd.boosted[rows][:, None], shown.items[rows]].astype(np.int32)
    told = shown.reasons[rows]
    shown.reasons[rows] = np.where(code > 0, code | (told & 0xFF) << 8, told)
    return shown


def _explored(ground: Ground, crowd: Crowd, shown: Ranks) -> Ranks:
    share = ground.serving.trials.exploration
    if not share:
        return shown
    order = np.tile(np.arange(shown.width), (len(crowd), 1))
    counts = shown.is_item.sum(axis=1).tolist()
    for row, (user_id, count) in enumerate(zip(crowd.user_ids, counts, strict=True)):
        kinds = [ground.wanted.kind] * count
        order[row, :count] = drawn(kinds, share=share, user_id=user_id, snapshot_id=ground.serving.snapshot_id).order
    return shown.in_order(order)
