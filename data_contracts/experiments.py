"""Experiments: who is in which arm. The only place where an arm is chosen, by day and by night. Pure.

An arm is a function of the user and the experiment's salt, so every process, channel and night agrees on it, and it
stays the user's for as long as the experiment lasts.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

_SPACE = 2**64


@dataclass(frozen=True)
class Experiment:
    """`shares` of users by arm, in order; they add up to 1. A new salt deals the users anew."""

    name: str
    salt: str
    shares: Mapping[str, float]

    def __post_init__(self) -> None:
        if not self.shares or min(self.shares.values()) < 0 or abs(sum(self.shares.values()) - 1) > 1e-9:
            raise ValueError(f"experiment {self.name}: the shares of its arms must add up to 1")


@dataclass(frozen=True)
class Assignment:
    experiment: str
    arm: str


# None runs yet; what runs is said here or where the service is wired.
RUNNING: Experiment | None = None


def assigned(user_id: int, experiment: Experiment | None) -> Assignment | None:
    """None where no experiment runs."""
    if experiment is None:
        return None
    digest = hashlib.sha256(f"{experiment.salt}:{user_id}".encode()).digest()
    point = int.from_bytes(digest[:8], "big") / _SPACE
    arms: Sequence[str] = tuple(experiment.shares)
    ends = accumulate(experiment.shares.values())
    return Assignment(
        experiment.name, next((arm for arm, end in zip(arms, ends, strict=True) if point < end), arms[-1])
    )
