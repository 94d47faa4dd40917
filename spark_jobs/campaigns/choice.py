"""What one user would choose if contacts had prices, for many users at once.

gains (C, n): worth less price, 0 where that is not above 0. A user takes, in each channel, the best that their room
admits. Where that takes two that exclude each other (few users), every way to keep one of each such pair is looked at.
All exact; arrays are (campaigns, users), so that each operation runs along users.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spark_jobs.campaigns.problem import Bools, Floats, Ints

Room = NDArray[np.int8]


@dataclass(frozen=True)
class Market:
    """Some campaigns: their channels (C,) and exclusions (C, C)."""

    channels: Ints
    exclusive: Bools

    def best(self, gains: Floats, room: Room) -> Floats:
        """(n,) the most that each user can gain; room (H, n) contacts a channel."""
        total, clashing = self._ignoring_exclusions(gains, room)
        rows = np.flatnonzero(clashing)
        if len(rows):
            some, free = gains[:, rows], room[:, rows]
            ways = (self._ignoring_exclusions(some * kept[:, None], free)[0] for kept in self._ways)
            total[rows] = np.max(list(ways), axis=0)
        return total

    def choose(self, gains: Floats, room: Room) -> Bools:
        """(C, n) what each user takes to gain that; of equals the first campaign."""
        _, clashing = self._ignoring_exclusions(gains, room)
        chosen = self._take(gains, room)
        rows = np.flatnonzero(clashing)
        if len(rows):
            some, free = gains[:, rows], room[:, rows]
            totals = [self._ignoring_exclusions(some * kept[:, None], free)[0] for kept in self._ways]
            way = np.array(self._ways)[np.argmax(totals, axis=0)]
            chosen[:, rows] = self._take(some * way.T, free)
        return chosen

    @cached_property
    def _ways(self) -> Sequence[Bools]:
        """The largest sets of campaigns without two that exclude each other, each as (C,)."""
        return _independent_sets(self.exclusive)

    def _ignoring_exclusions(self, gains: Floats, room: Room) -> tuple[Floats, Bools]:
        """(n,) the most to gain; (n,) whether two that exclude each other may be part of that."""
        total, least = np.zeros(gains.shape[1]), {}
        for channel in np.unique(self.channels):
            free = room[channel]
            tops = _largest(gains[self.channels == channel], int(free.max(initial=0)))
            least[channel] = np.full(gains.shape[1], np.inf)
            for place, top in enumerate(tops):
                has_place = free > place
                total += np.where(has_place, top, 0.0)
                least[channel] = np.where(has_place, top, least[channel])
        clashing = np.zeros(gains.shape[1], np.bool_)
        for one, other in np.argwhere(np.triu(self.exclusive)):
            both = (gains[one] > 0) & (gains[other] > 0)
            both &= (gains[one] >= least[self.channels[one]]) & (gains[other] >= least[self.channels[other]])
            clashing |= both
        return total, clashing

    def _take(self, gains: Floats, room: Room) -> Bools:
        taken, left = np.zeros(gains.shape, np.bool_), gains.copy()
        users = np.arange(gains.shape[1])
        for channel in np.unique(self.channels):
            members = np.flatnonzero(self.channels == channel)
            for place in range(int(room[channel].max(initial=0))):
                first = members[np.argmax(left[members], axis=0)]
                taken[first, users] |= (left[first, users] > 0) & (room[channel] > place)
                left[first, users] = 0.0
        return taken


def _largest(rows: Floats, most: int) -> list[Floats]:
    """The `most` largest of each column, descending, by insertion: a few passes along users."""
    tops = [np.zeros(rows.shape[1]) for _ in range(min(most, len(rows)))]
    for row in rows:
        carried = row
        for place, top in enumerate(tops):
            tops[place], carried = np.maximum(top, carried), np.minimum(top, carried)
    return tops


def _independent_sets(exclusive: Bools) -> list[Bools]:
    """Maximal independent sets of the graph, each as (C,), by branching on an excluded pair."""
    found: set[tuple[bool, ...]] = set()
    waiting = [tuple([True] * len(exclusive))]
    while waiting:
        kept = np.array(waiting.pop())
        pairs = np.argwhere(np.triu(exclusive & kept & kept[:, None]))
        if not len(pairs):
            found.add(tuple(kept.tolist()))
            continue
        without, others = kept.copy(), kept & ~exclusive[pairs[0][0]]
        without[pairs[0][0]] = False
        waiting += [tuple(without.tolist()), tuple(others.tolist())]
    return [np.array(one) for one in sorted(found, reverse=True)]
