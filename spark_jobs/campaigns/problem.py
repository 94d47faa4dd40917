"""The allocation's question and answer, as arrays: C campaigns, U users, H channels."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Problem:
    """Choose pairs of campaign and user that are worth most together, such that

    - a campaign gets at most `budgets[c]` users,
    - a user at most `room[h, u]` campaigns of a channel h (`channels[c]` is the campaign's),
    - and none that exclude each other.

    worth (C, U) float32: what a contact is worth, 0 where it must not be. Users stand in the order in which ties are
    broken. Raises ValueError for arrays that do not fit together, or for a worth that is negative or no number.
    """

    worth: NDArray[np.float32]
    budgets: Ints
    channels: Ints
    room: NDArray[np.int8]
    exclusive: Bools

    def __post_init__(self) -> None:
        campaigns, users = self.worth.shape
        fits = self.budgets.shape == self.channels.shape == (campaigns,) and self.room.shape[1:] == (users,)
        if not fits or self.exclusive.shape != (campaigns, campaigns):
            raise ValueError("the allocation's arrays do not fit together")
        if not all(bool(np.isfinite(row).all() and (row >= 0).all()) for row in self.worth):
            raise ValueError("what a contact is worth must be a number of at least 0")

    @property
    def campaigns(self) -> int:
        return len(self.budgets)

    @property
    def users(self) -> int:
        return int(self.worth.shape[1])

    @cached_property
    def eligible(self) -> tuple[Ints, ...]:
        """Users of each campaign, ascending."""
        return tuple(np.flatnonzero(row > 0) for row in self.worth)

    @cached_property
    def neighbours(self) -> tuple[Ints, ...]:
        """Campaigns whose choice may depend on each: joined by channels and exclusions, itself among them."""
        joined = (self.channels[:, None] == self.channels) | self.exclusive
        for _ in range(self.campaigns.bit_length()):
            joined = joined @ joined
        return tuple(np.flatnonzero(row) for row in joined)

    def worth_of(self, chosen: Bools) -> float:
        """(C, U) -> what the chosen pairs are worth together."""
        return float(sum(row[picked].sum(dtype=np.float64) for row, picked in zip(self.worth, chosen, strict=True)))


@dataclass(frozen=True)
class Allocation:
    """chosen (C, U). value: what it is worth; bound: proven, no allocation is worth more. prices (C,): what one more
    contact of a campaign's budget would bring. is_exact: the solver proved that there is no better one.
    """

    chosen: Bools
    value: float
    bound: float
    prices: Floats
    is_exact: bool

    @property
    def gap(self) -> float:
        """Share of the bound that may be lost, at most."""
        return max(0.0, 1 - self.value / self.bound) if self.bound > 0 else 0.0
