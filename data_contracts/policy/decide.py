"""Decisions: which items of users' lists may be shown, for all users at once.

Rules on user and item alone are one matrix over all products (`standing_drops`), from which a list's items are
gathered; rules on what stands above an item go through the positions, best first, all users at a time.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_contracts.policy.compiled import Bools, CompiledPolicy
from data_contracts.policy.decision import Decision, Drop
from data_contracts.policy.users import CHANNEL_CONSENT, Users
from data_contracts.vocabulary import Channel

Drops = NDArray[np.uint8]
Items = NDArray[np.int32]
Counts = int | NDArray[Any]

# Users at a time: the matrices of a block stay in the processor's cache.
_BLOCK = 8_192


def standing_drops(policy: CompiledPolicy, users: Users, *, channel: Channel | None) -> Drops:
    """`Drop` of each user and product by the rules that no list decides, [U, P]; NONE where it may be shown.

    Without a channel only the rules that hold in all of them speak.
    """
    drops = np.zeros((len(users), policy.products), dtype=np.uint8)
    unknown = ~users.known[:, None]
    held = users.holdings.astype(np.float32)
    # The last written wins, so the lowest number comes last.
    drops[policy.has_prerequisite & (held @ policy.opens == 0)] = Drop.MISSING_PREREQUISITE
    drops[held @ policy.prohibited > 0] = Drop.PROHIBITED_WITH_HELD
    drops[users.holdings] = Drop.HELD
    drops[~unknown & ~_is_eligible(policy, users)] = Drop.NOT_ELIGIBLE
    if channel is not None:
        drops[:, ~policy.channels[channel]] = Drop.CHANNEL
        drops[~_has_consent(users, channel), :] = Drop.NO_CONSENT
    drops[unknown & ~policy.safe_for_anyone] = Drop.NOT_SAFE
    drops[:, policy.blocked] = Drop.BLOCKED
    drops[:, ~policy.sold] = Drop.NOT_SOLD
    return drops


def decide(policy: CompiledPolicy, users: Users, items: Items, *, channel: Channel | None, top_k: Counts) -> Decision:
    """Which products of users' lists may be shown.

    `items` [U, L]: product positions, best first, -1 for none. `top_k`: the most to keep, one number or one a user.
    """
    most = np.broadcast_to(np.asarray(top_k, dtype=np.int64), (len(users),))
    reason = np.zeros(items.shape, dtype=np.uint8)
    for start in range(0, len(users), _BLOCK):
        rows = slice(start, start + _BLOCK)
        reason[rows] = _decide_block(policy, users[rows], items[rows], channel=channel, top_k=most[rows])
    return Decision(keep=(items >= 0) & (reason == Drop.NONE), reason=reason)


def decide_offers(users: Users, items: Items, *, blocked: Bools, channel: Channel | None, top_k: Counts) -> Decision:
    """Which offers of users' lists may be shown: `items` [U, L] index `blocked`, best first, -1 for none.

    Offers are partners' and safe for anyone: no eligibility, but compliance stops and consents hold for them too.
    """
    stopped = np.append(blocked, False)  # so that -1, no item, is never blocked
    reason = np.zeros(items.shape, dtype=np.uint8)
    repeated = _is_repeated(np.ascontiguousarray(items.T)).T
    may_stand = (items >= 0) & ~stopped[items] & ~repeated
    if channel is not None:
        may_stand &= _has_consent(users, channel)[:, None]
    most = np.broadcast_to(np.asarray(top_k, dtype=np.int64), (len(users),))
    reason[may_stand & (np.cumsum(may_stand, axis=1) > most[:, None])] = Drop.BEYOND_TOP_K
    reason[repeated] = Drop.REPEATED
    if channel is not None:
        reason[~_has_consent(users, channel), :] = Drop.NO_CONSENT
    reason[stopped[items]] = Drop.BLOCKED
    reason[items < 0] = Drop.NONE
    return Decision(keep=(items >= 0) & (reason == Drop.NONE), reason=reason)


def _has_consent(users: Users, channel: Channel) -> Bools:
    """Whether users may be addressed in the channel, [U].

    Who is unknown has no consents on record: in the app, which they opened themselves, they are answered; CRM, which
    would come to them, says nothing.
    """
    agreed = (users.consents & CHANNEL_CONSENT[channel]) != 0
    return np.asarray(agreed if channel is Channel.CRM else agreed | ~users.known)


def _is_eligible(policy: CompiledPolicy, users: Users) -> Bools:
    """[U, P]; an unknown attribute fails every bound on it."""
    years = np.where(users.birth_year > 0, policy.today.year - users.birth_year.astype(np.int64), -1)
    eligible = policy.eligibility["years"].admits(years)
    for name in ("income_band", "score_band", "employment", "region", "arrears_days"):
        eligible &= policy.eligibility[name].admits(getattr(users, name))
    return eligible


def _decide_block(
    policy: CompiledPolicy, users: Users, items: Items, *, channel: Channel | None, top_k: NDArray[np.int64]
) -> Drops:
    """Drops [U, L] of one block; inside, arrays are [L, U], since the work goes position by position."""
    standing = np.zeros((len(users), policy.products + 1), dtype=np.uint8)
    standing[:, :-1] = standing_drops(policy, users, channel=channel)  # the last column answers for -1, no item
    by_position = np.ascontiguousarray(items.T)
    drops = standing[np.arange(len(users)), by_position]
    is_open = (drops == Drop.NONE) & (by_position >= 0)
    repeated = is_open & _is_placed_twice(policy.own_word, by_position)
    drops[repeated] = Drop.REPEATED
    _place(policy, by_position, is_open & ~repeated, drops, top_k)
    return np.asarray(drops.T)


def _is_placed_twice(own_word: NDArray[np.uint64], by_position: Items) -> Bools:
    """[L, U]: whether the same product stands higher in the user's list; -1 never does."""
    no_item = np.zeros((1, own_word.shape[1]), dtype=np.uint64)
    own = np.concatenate([own_word, no_item])[by_position]  # [L, U, W]; the last row answers for -1
    down_to_here = np.bitwise_or.accumulate(own, axis=0)
    repeated = np.zeros(by_position.shape, dtype=np.bool_)
    repeated[1:] = (own[1:] & down_to_here[:-1]).any(axis=2)
    return repeated


def _is_repeated(by_position: Items) -> Bools:
    """[L, U]: the same for offers, which are too many for a bit each."""
    repeated = np.zeros(by_position.shape, dtype=np.bool_)
    for position in range(1, len(by_position)):
        repeated[position] = (by_position[:position] == by_position[position]).any(axis=0)
    return repeated & (by_position >= 0)


def _place(policy: CompiledPolicy, items: Items, is_open: Bools, drops: Drops, top_k: NDArray[np.int64]) -> None:
    """Fill in the drops of the rules that look at the list above: place or drop each open item, best first."""
    users = items.shape[1]
    placed = np.zeros(users, dtype=np.int64)
    of_family = np.zeros((users, len(policy.family_cap)), dtype=np.int64)
    placed_words = np.zeros((users, policy.own_word.shape[1]), dtype=np.uint64)
    for position in np.flatnonzero(is_open.any(axis=1)):
        if (placed >= top_k).all():
            drops[position:][is_open[position:]] = Drop.BEYOND_TOP_K
            break
        row = np.flatnonzero(is_open[position])
        item = items[position, row]
        family = policy.family[item]
        drop = np.zeros(len(row), dtype=np.uint8)
        drop[of_family[row, family] >= policy.family_cap[family]] = Drop.FAMILY_CAP
        drop[(placed_words[row] & policy.prohibited_words[item]).any(axis=1)] = Drop.PROHIBITED_WITH_PLACED
        drop[placed[row] >= top_k[row]] = Drop.BEYOND_TOP_K
        drops[position, row] = drop
        stays = drop == Drop.NONE
        row, item, family = row[stays], item[stays], family[stays]
        placed[row] += 1
        of_family[row, family] += 1
        placed_words[row] |= policy.own_word[item]
