"""Who is in which arm: one hash of user and salt, the same for one user, for an array of them, and in SQL. Pure.

The hash is ClickHouse's intHash64 (the finaliser of MurmurHash3), so that a statement can ask the same with
`intHash64(bitXor(intHash64(user_id), {salt:UInt64}))`: see sql/exposures_v1/of_experiment.sql. The first round breaks
up ids that lie side by side, the second brings in the salt.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from data_contracts.experiments.model import Experiment, Traits
from data_contracts.vocabulary import Kind, Variant

_MOST = 2**64 - 1
# A user, or an array of them as uint64.
Ids = TypeVar("Ids", int, NDArray[Any])


@dataclass(frozen=True, slots=True)
class Assignment:
    """`variant` None: the arm chooses no list; else it chooses those of `kinds`."""

    experiment: str
    arm: str
    variant: Variant | None
    kinds: frozenset[Kind]


@cache
def salt_number(salt: str) -> int:
    """A salt as the hash takes it, 64 bits."""
    return int.from_bytes(hashlib.sha256(salt.encode()).digest()[:8], "big")


def point(user_ids: Ids, salt: int) -> Ids:
    """Of [0, 2^64), even over users."""
    return _mixed(_mixed(user_ids) ^ salt)


def _mixed(number: Ids) -> Ids:
    number = number ^ 0x4CF2D2BAAE6DA887
    number = (number ^ number >> 33) * 0xFF51AFD7ED558CCD & _MOST
    number = (number ^ number >> 33) * 0xC4CEB9FE1A85EC53 & _MOST
    return number ^ number >> 33


@cache
def _ends(shares: tuple[float, ...]) -> tuple[int, ...]:
    return (*(round(end * 2**64) - 1 for end in list(accumulate(shares))[:-1]), _MOST)


def bounds(experiment: Experiment) -> Sequence[int]:
    """The last point of each arm: a user is in the first arm whose bound is not below their point."""
    return _ends(tuple(arm.share for arm in experiment.arms.values()))


def slice_of(experiment: Experiment) -> tuple[int, int, int]:
    """The layer's salt, and the first and last point of those of its users who take part."""
    first, end = (round(share * 2**64) for share in experiment.traffic)
    return salt_number(f"layer {experiment.layer}"), first, end - 1


def assignments(experiments: Iterable[Experiment], user_id: int, traits: Traits | None) -> tuple[Assignment, ...]:
    """Of one user in those that run, in their order."""
    found = []
    for one in experiments:
        layer, first, last = slice_of(one)
        if one.eligible.admits(traits) and first <= point(user_id, layer) <= last:
            name = list(one.arms)[bisect_left(bounds(one), point(user_id, salt_number(one.salt)))]
            found.append(Assignment(one.name, name, one.arms[name].variant, one.kinds))
    return tuple(found)


def chosen(arms: Iterable[Assignment], kind: Kind) -> Variant:
    """Whose lists of a kind a user in these arms is shown."""
    return next((one.variant for one in arms if one.variant and kind in one.kinds), Variant.PERSONAL)


def arm_numbers(experiment: Experiment, user_ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """[N]: each user's arm by its place among the arms, -1 for who does not take part. Asks not who is eligible."""
    ids = user_ids.astype(np.uint64)
    layer, first, last = slice_of(experiment)
    place = point(ids, layer)
    arms = np.searchsorted(np.array(bounds(experiment), np.uint64), point(ids, salt_number(experiment.salt)))
    return np.where((place >= first) & (place <= last), arms, -1)
