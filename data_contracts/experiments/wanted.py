"""Which variants of lists a night makes besides the personal ones, and for whom. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from data_contracts.experiments.assign import arm_numbers
from data_contracts.experiments.model import Experiment, running_on
from data_contracts.vocabulary import Kind, Variant

# The others are there every night: personal lists, and those of segments.
MADE_ON_DEMAND = (Variant.UPLIFT, Variant.CHALLENGER)


@dataclass(frozen=True)
class Wanted:
    """One variant: lists of `kinds`, for everybody or for whoever is in an arm of `experiments` that names it."""

    variant: Variant
    kinds: frozenset[Kind]
    experiments: tuple[Experiment, ...] = ()
    for_everybody: bool = False

    def users(self, user_ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """[N]: who needs a list. Asks not who is eligible, so that who becomes it by day has one."""
        needed = np.full(len(user_ids), self.for_everybody)
        for one in self.experiments:
            arms = [number for number, arm in enumerate(one.arms.values()) if arm.variant is self.variant]
            needed |= np.isin(arm_numbers(one, user_ids), arms)
        return needed


def wanted(experiments: Sequence[Experiment], *, outbound: Iterable[Variant]) -> tuple[Wanted, ...]:
    """In the order of `MADE_ON_DEMAND`. outbound: variants of which everybody gets lists of every kind."""
    everybody, found = frozenset(outbound), []
    for variant in MADE_ON_DEMAND:
        needing = tuple(one for one in experiments if variant in {arm.variant for arm in one.arms.values()})
        if variant in everybody:
            found.append(Wanted(variant, frozenset(Kind), for_everybody=True))
        elif needing:
            found.append(Wanted(variant, frozenset[Kind]().union(*(one.kinds for one in needing)), needing))
    return tuple(found)


def shown_from(experiments: Iterable[Experiment], day: date) -> tuple[Experiment, ...]:
    """Those that run while the snapshot of a day is shown, which it is until the next night is done."""
    every = tuple(experiments)
    first, second = running_on(every, day), running_on(every, day + timedelta(days=1))
    return tuple(one for one in every if one in first or one in second)
