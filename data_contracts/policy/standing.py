"""Rules on user and item alone: what speaks against each product, for all users at once, as bits."""

import numpy as np
from numpy.typing import NDArray

from data_contracts.policy.bits import Bools, Words, as_bytes, as_flags, from_bytes, united
from data_contracts.policy.compiled import ATTRIBUTES, CompiledPolicy
from data_contracts.policy.decision import Drop
from data_contracts.policy.users import CHANNEL_CONSENT, Users
from data_contracts.vocabulary import Channel

_NOTHING = np.uint64(0)


def objections(policy: CompiledPolicy, users: Users, *, channel: Channel | None) -> list[tuple[Drop, Words]]:
    """By rule, the lowest number last, the products that it speaks against, [W, U] or [W, 1] where against all alike.

    Without a channel only the rules that hold in all of them speak.
    """
    words, known = policy.words, users.known
    bytes_held = as_bytes(users.holdings)
    held = from_bytes(bytes_held, words=len(words.everything))
    found = []
    if policy.has_prerequisite.any():
        opened = united(words.opened_by_held, bytes_held)
        found.append((Drop.MISSING_PREREQUISITE, words.prerequisite & ~opened))
    found.append((Drop.PROHIBITED_WITH_HELD, united(words.prohibited_by_held, bytes_held)))
    found.append((Drop.HELD, held))
    admitted = words.eligibility.admit(_attributes(policy, users))
    found.append((Drop.NOT_ELIGIBLE, np.where(known, words.everything & ~admitted, _NOTHING)))
    if channel is not None:
        found.append((Drop.CHANNEL, words.not_offered[channel]))
        found.append((Drop.NO_CONSENT, np.where(has_consent(users, channel), _NOTHING, words.everything)))
    found.append((Drop.NOT_SAFE, np.where(known, _NOTHING, words.not_safe)))
    return [*found, (Drop.BLOCKED, words.blocked), (Drop.NOT_SOLD, words.not_sold)]


def barred(against: list[tuple[Drop, Words]], users: int) -> Words:
    """All that any rule speaks against, [W, U]."""
    together = np.zeros((len(against[0][1]), users), np.uint64)
    for _, words in against:
        together |= words
    return together


def drops_of(policy: CompiledPolicy, against: list[tuple[Drop, Words]], users: int) -> NDArray[np.uint8]:
    """`Drop` of each user and product, [U, P]; NONE where it may be shown."""
    drops = np.zeros((users, policy.products), np.uint8)
    for rule, words in against:  # the last written wins
        if words.any():
            np.copyto(drops, np.uint8(rule), where=as_flags(words, policy.products))
    return drops


def has_consent(users: Users, channel: Channel) -> Bools:
    """Whether users may be addressed in the channel, [U].

    Who is unknown has no consents on record: in the app, which they opened themselves, they are answered; CRM, which
    would come to them, says nothing.
    """
    agreed = (users.consents & CHANNEL_CONSENT[channel]) != 0
    return np.asarray(agreed if channel is Channel.CRM else agreed | ~users.known)


def _attributes(policy: CompiledPolicy, users: Users) -> NDArray[np.int64]:
    """[A, U] in the order of the tables; years are this year less that of birth, -1 where that is unknown."""
    values = np.empty((len(ATTRIBUTES), len(users)), np.int64)
    for row, name in zip(values, ATTRIBUTES, strict=True):
        row[:] = getattr(users, name)
    years = values[0]
    values[0] = np.where(years > 0, policy.today.year - years, -1)
    return values
