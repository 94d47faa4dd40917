"""How well a ranking by uplift finds whom a campaign persuades: Qini curve and uplift@k, with intervals. Pure.

Source: Radcliffe, "Using control groups to target on predicted lift" (Direct Marketing Analytics Journal, 2007). With
the best-ranked share addressed, of whom nt were treated and nc held out, the Qini curve stands at yt - yc nt / nc, the
openings that treatment added; here per treated user of all. The coefficient is the area between it and the straight
line of a random order. uplift@k is the difference of the two groups' rates among the best-ranked share k.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_jobs.evaluation.intervals import Estimate

Floats = NDArray[np.float64]

SHARES = np.linspace(0, 1, 21)
TOP = (0.1, 0.2, 0.3, 0.5, 1.0)


@dataclass(frozen=True)
class UpliftQuality:
    """curve: an estimate a share of `SHARES`; at: uplift@k by k, at 1 the average effect."""

    curve: tuple[Estimate, ...]
    coefficient: Estimate
    at: Mapping[float, Estimate]

    def as_json(self) -> dict[str, Any]:
        whole = self.curve[-1].value
        return {
            "curve": [
                {"share": float(share), "random": float(share) * whole, **one.as_json()}
                for share, one in zip(SHARES, self.curve, strict=True)
            ],
            "coefficient": self.coefficient.as_json(),
            "uplift_at": [{"share": share, **one.as_json()} for share, one in self.at.items()],
        }


def uplift_quality(
    scores: Floats, treated: NDArray[np.bool_], outcome: Floats, *, seed: int, samples: int = 200
) -> UpliftQuality:
    """scores, treated, outcome (0 or 1): (N,), a user each. Ties keep their order, so give users in a neutral one."""
    found = _resampled(scores, treated, outcome, seed=seed, samples=samples)
    low, high = np.quantile(found[1:], [0.025, 0.975], axis=0)
    every = [Estimate(float(found[0, n]), float(low[n]), float(high[n]), len(scores)) for n in range(found.shape[1])]
    points = len(SHARES)
    return UpliftQuality(tuple(every[:points]), every[points], dict(zip(TOP, every[points + 1 :], strict=True)))


def paired_gain(
    scores: Floats, others: Floats, treated: NDArray[np.bool_], outcome: Floats, *, seed: int, samples: int = 200
) -> Estimate:
    """How much the Qini coefficient of a ranking is above another's: the same resampled users under both."""
    own, other = (
        _resampled(one, treated, outcome, seed=seed, samples=samples)[:, len(SHARES)] for one in (scores, others)
    )
    low, high = np.quantile((own - other)[1:], [0.025, 0.975])
    return Estimate(float(own[0] - other[0]), float(low), float(high), len(scores))


def _resampled(scores: Floats, treated: NDArray[np.bool_], outcome: Floats, *, seed: int, samples: int) -> Floats:
    """Figures (see `_figures`) of all users, and of `samples` draws of them: [1 + samples, figures]."""
    order, users = np.argsort(-scores, kind="stable"), len(scores)
    shown, opened = treated[order], outcome[order].astype(np.float64)
    draws = np.random.default_rng(seed)
    weights = (np.bincount(draws.integers(0, users, users), minlength=users)[order] for _ in range(samples))
    return np.stack([_figures(shown, opened, weight.astype(np.float64)) for weight in (np.ones(users), *weights)])


def _figures(treated: NDArray[np.bool_], outcome: Floats, weight: Floats) -> Floats:
    """Curve, coefficient and uplift@k of users in the order of their scores, each counted `weight` times."""
    sides = [weight * treated, weight * ~treated]
    counts = [np.append(0, np.cumsum(side)) for side in sides]
    opened = [np.append(0, np.cumsum(side * outcome)) for side in sides]
    whole = np.append(0, np.cumsum(weight))

    def at(shares: Floats) -> tuple[Floats, ...]:
        place = np.searchsorted(whole, np.round(shares * whole[-1], 6))
        return tuple(sums[place] for sums in (*counts, *opened))

    nt, nc, yt, yc = at(SHARES)
    curve = (yt - yc * nt / np.maximum(nc, 1)) / max(nt[-1], 1)
    coefficient = np.trapz(curve - SHARES * curve[-1], SHARES)
    nt, nc, yt, yc = at(np.array(TOP))
    return np.concatenate([curve, [coefficient], yt / np.maximum(nt, 1) - yc / np.maximum(nc, 1)])
