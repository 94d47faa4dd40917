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

# So much of what follows an own list, or of an order made anew, is tried before all of it.
_NEXT = 20


def lists_of(ground: Ground, crowd: Crowd) -> Ranks:
    """What each user is shown [N, top_k], from the left."""
    shown = Ranks.none(len(crowd), ground.wanted.top_k)
    longest = ground.tails(crowd.segments[:1]).width
    is_moved = crowd.boosted >= 0
    left = _put(ground, crowd, shown, np.flatnonzero(~is_moved & crowd.has_own), tail=0)
    left = np.append(left, np.flatnonzero(~is_moved & ~crowd.has_own))
    if longest > _NEXT:
        left = _put(ground, crowd, shown, left, tail=_NEXT)
    _put(ground, crowd, shown, left, tail=longest, is_last=True)
    _put_moved(ground, crowd, shown, np.flatnonzero(is_moved), tail=longest)
    return _explored(ground, crowd, _with_reasons(ground, crowd, shown))


def still_shown(ground: Ground, crowd: Crowd, items: NDArray[np.int32]) -> Bools:
    """Of lists that were made before [N, L], best first, -1 for none: what may be shown of them now."""
    listed, everybody = Ranks.none(*items.shape), np.ones(len(crowd), np.bool_)
    listed.items[:] = items
    as_it_is = replace(crowd, own=listed, has_own=everybody, boosted=np.full(len(crowd), -1))
    rows = np.arange(len(crowd))
    return _kept(ground, as_it_is, rows, _candidates(ground, as_it_is, rows, 0))


def _put(ground: Ground, crowd: Crowd, shown: Ranks, rows: Places, *, tail: int, is_last: bool = False) -> Places:
    """What rows are shown of so much of their candidates; the rows that it is not enough for."""
    if not len(rows):
        return rows
    return rows[_put_kept(ground, crowd, shown, rows, _candidates(ground, crowd, rows, tail), is_last=is_last)]


def _put_moved(ground: Ground, crowd: Crowd, shown: Ranks, rows: Places, *, tail: int) -> None:
    """The same for whose candidates are ordered anew, which takes all of them."""
    if not len(rows):
        return
    ranks = _candidates(ground, crowd, rows, tail)
    order = _order(ground, crowd, rows, ranks)
    left = _put_kept(ground, crowd, shown, rows, ranks.in_order(order[:, :_NEXT]))
    if len(left):
        _put_kept(ground, crowd, shown, rows[left], ranks[left].in_order(order[left]), is_last=True)


def _put_kept(
    ground: Ground, crowd: Crowd, shown: Ranks, rows: Places, ranks: Ranks, *, is_last: bool = False
) -> Places:
    """Put what the policy keeps; places in `rows` of those whom it leaves room for more, unless there is none."""
    keep = _kept(ground, crowd, rows, ranks)
    is_done = keep.sum(axis=1) == ground.wanted.top_k
    if is_last or is_done.all():
        shown.put(rows, ranks, keep)
        return np.zeros(0, np.intp)
    done = np.flatnonzero(is_done)
    shown.put(rows[done], ranks[done], keep[done])
    return np.flatnonzero(~is_done)


def _candidates(ground: Ground, crowd: Crowd, rows: Places, tail: int) -> Ranks:
    """Own lists of some rows with so much of what follows them, without what is not wanted or events take out."""
    own = crowd.own[rows]
    own.items[~crowd.has_own[rows]] = -1
    ranks = own.beside(ground.tails(crowd.segments[rows]).cut(tail)) if tail else own
    items = ranks.items
    if ground.is_unwanted.any():
        items[ground.is_unwanted[items]] = -1
    _suppress(ground, crowd, rows, items)
    _keep_back(ground, crowd, rows, items)
    return ranks


def _kept(ground: Ground, crowd: Crowd, rows: Places, ranks: Ranks) -> Bools:
    wanted, serving, users = ground.wanted, ground.serving, crowd.users[rows]
    if wanted.kind is Kind.PRODUCT:
        return kept(serving.policy, users, ranks.items, channel=wanted.channel, top_k=wanted.top_k)
    blocked = serving.is_blocked_item
    return kept_offers(users, ranks.items, blocked=blocked, channel=wanted.channel, top_k=wanted.top_k)


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


def _order(ground: Ground, crowd: Crowd, rows: Places, ranks: Ranks) -> Places:
    """Places of candidates, best first [R, L], of rows that something raises or tires."""
    boosts = _item_boosts(ground, crowd, rows, ranks.items)
    order = np.tile(np.arange(ranks.width), (len(rows), 1))
    moved = np.flatnonzero(boosts.any(axis=1))
    scores = np.maximum(ranks.scores[moved], 0).astype(np.float64)
    order[moved] = order_by_worth(ground.serving, ranks.items[moved], scores, boosts[moved], kind=ground.wanted.kind)
    return order


def _item_boosts(ground: Ground, crowd: Crowd, rows: Places, items: NDArray[np.int32]) -> NDArray[np.float64]:
    if ground.wanted.kind is Kind.OFFER:
        return crowd.changes.offer_boosts(crowd.user_ids[rows].tolist(), items) if crowd.changes else items * 0.0
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
    for row, (user_id, count) in enumerate(zip(crowd.user_ids.tolist(), counts, strict=True)):
        kinds = [ground.wanted.kind] * count
        order[row, :count] = drawn(kinds, share=share, user_id=user_id, snapshot_id=ground.serving.snapshot_id).order
    return shown.in_order(order)
