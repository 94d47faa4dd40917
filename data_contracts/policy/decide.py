"""Decisions: which items of users' lists may be shown, for all users at once.

Rules on user and item alone say which products are barred to a user (`standing`); rules on what stands above an item go
down the list (`placing`). Why an item is not kept is found afterwards, for those who ask (`decide`).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_contracts.policy.bits import Bools
from data_contracts.policy.compiled import CompiledPolicy
from data_contracts.policy.decision import Decision, Drop
from data_contracts.policy.placing import Items, first, placed
from data_contracts.policy.standing import barred, drops_of, has_consent, objections
from data_contracts.policy.users import Users
from data_contracts.vocabulary import Channel

Drops = NDArray[np.uint8]
Counts = int | NDArray[Any]

# Users at a time: the arrays of a block stay in the processor's cache.
_BLOCK = 2_048


def standing_drops(policy: CompiledPolicy, users: Users, *, channel: Channel | None) -> Drops:
    """`Drop` of each user and product by the rules that no list decides, [U, P]; NONE where it may be shown.

    Without a channel only the rules that hold in all of them speak.
    """
    drops = np.empty((len(users), policy.products), np.uint8)
    for rows in _blocks(len(users)):
        some = users[rows]
        drops[rows] = drops_of(policy, objections(policy, some, channel=channel), len(some))
    return drops


def kept(policy: CompiledPolicy, users: Users, items: Items, *, channel: Channel | None, top_k: Counts) -> Bools:
    """Which products of users' lists may be shown, [U, L].

    `items` [U, L]: product positions, best first, -1 for none. `top_k`: the most to keep, one number or one a user.
    """
    most = _most(top_k, len(users))
    keep = np.empty(items.shape, np.bool_)
    for rows in _blocks(len(users)):
        some = users[rows]
        against = objections(policy, some, channel=channel)
        by_position = np.ascontiguousarray(items[rows].T)
        keep[rows] = placed(policy.placing, by_position, barred(against, len(some)), most[rows]).T
    return keep


def decide(policy: CompiledPolicy, users: Users, items: Items, *, channel: Channel | None, top_k: Counts) -> Decision:
    """The same with why each other product may not be."""
    most = _most(top_k, len(users))
    keep, reason = np.empty(items.shape, np.bool_), np.empty(items.shape, np.uint8)
    for rows in _blocks(len(users)):
        some, by_position = users[rows], np.ascontiguousarray(items[rows].T)
        against = objections(policy, some, channel=channel)
        here = placed(policy.placing, by_position, barred(against, len(some)), most[rows])
        keep[rows] = here.T
        reason[rows] = _reasons(policy, by_position, here, drops_of(policy, against, len(some)), most[rows]).T
    return Decision(keep, reason)


def kept_offers(users: Users, items: Items, *, blocked: Bools, channel: Channel | None, top_k: Counts) -> Bools:
    """Which offers of users' lists may be shown, [U, L]: `items` index `blocked`, best first, -1 for none.

    Offers are partners' and safe for anyone: no eligibility, but compliance stops and consents hold for them too.
    """
    return _kept_offers(items, *_offers_against(users, items, blocked, channel), _most(top_k, len(users)))


def decide_offers(users: Users, items: Items, *, blocked: Bools, channel: Channel | None, top_k: Counts) -> Decision:
    """The same with why each other offer may not be."""
    stopped, refused, repeated = _offers_against(users, items, blocked, channel)
    keep = _kept_offers(items, stopped, refused, repeated, _most(top_k, len(users)))
    reason = np.where(keep, np.uint8(Drop.NONE), np.uint8(Drop.BEYOND_TOP_K))
    reason[repeated] = Drop.REPEATED
    reason[refused, :] = Drop.NO_CONSENT
    reason[stopped] = Drop.BLOCKED
    reason[items < 0] = Drop.NONE
    return Decision(keep, reason)


def _offers_against(users: Users, items: Items, blocked: Bools, channel: Channel | None) -> tuple[Bools, Bools, Bools]:
    """Items that are stopped [U, L], users who do not agree [U], items that stand higher too [U, L]."""
    stopped = np.append(blocked, False)[items]  # -1, no item, is never blocked
    refused = np.zeros(len(users), np.bool_) if channel is None else ~has_consent(users, channel)
    return stopped, refused, _is_repeated(np.ascontiguousarray(items.T)).T


def _kept_offers(items: Items, stopped: Bools, refused: Bools, repeated: Bools, most: NDArray[np.int64]) -> Bools:
    may_stand = (items >= 0) & ~stopped & ~repeated & ~refused[:, None]
    return np.asarray(first(may_stand.T, most).T)


def _blocks(users: int) -> Iterator[slice]:
    for start in range(0, users, _BLOCK):
        yield slice(start, start + _BLOCK)


def _most(top_k: Counts, users: int) -> NDArray[np.int64]:
    return np.broadcast_to(np.asarray(top_k, dtype=np.int64), (users,))


def _is_repeated(by_position: Items) -> Bools:
    """[L, U]: whether the same item stands higher in the user's list; -1 never does."""
    repeated = np.zeros(by_position.shape, dtype=np.bool_)
    for position in range(1, len(by_position)):
        repeated[position] = (by_position[:position] == by_position[position]).any(axis=0)
    return repeated & (by_position >= 0)


def _reasons(policy: CompiledPolicy, items: Items, keep: Bools, standing: Drops, most: NDArray[np.int64]) -> Drops:
    """`Drop` of each item of lists [L, U]."""
    tables, words = policy.placing, len(policy.words.everything)
    with_none = np.zeros((len(standing), policy.products + 1), np.uint8)
    with_none[:, :-1] = standing  # the last column answers for -1, no item
    reason: Drops = with_none[np.arange(items.shape[1]), items]
    left = np.nonzero((reason == Drop.NONE) & ~keep & (items >= 0))
    if not len(left[0]):
        return reason
    own = tables.adds[:words].take(items, axis=1, mode="wrap") & policy.words.everything[:, None]
    listed = np.bitwise_or.accumulate(own, axis=1)
    above = np.bitwise_or.accumulate(own * keep, axis=1)
    position, user = left
    conflicts = tables.against[:words].take(items[left], axis=1) & ~own[:, position, user]
    found = np.full(len(user), Drop.FAMILY_CAP, np.uint8)
    found[(above[:, position, user] & conflicts & policy.words.everything).any(axis=0)] = Drop.PROHIBITED_WITH_PLACED
    found[np.cumsum(keep, axis=0)[left] >= most[user]] = Drop.BEYOND_TOP_K
    is_again = (listed[:, position - 1, user] & own[:, position, user]).any(axis=0) & (position > 0)
    found[is_again] = Drop.REPEATED
    reason[left] = found
    return reason
