"""How far a distribution has moved: population stability index and the Kolmogorov-Smirnov statistic."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

Values = NDArray[Any]
_BINS = 10
# An empty bin counts as this share, so that the logarithm exists.
_LEAST_SHARE = 1e-4


def psi(then: Values, now: Values, *, bins: int = _BINS) -> float:
    """Population stability index over the quantile bins of `then`: sum of (q - p) ln(q / p), both in shares.

    NaN is a bin of its own, so that values that went missing are a drift too. 0 where either side is empty. Source:
    Siddiqi, Credit Risk Scorecards (2006); below .1 nothing moved, above .25 the population is another one.
    """
    if not len(then) or not len(now):
        return 0.0
    known = then[~np.isnan(then)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1])) if len(known) else np.empty(0)
    p, q = (np.maximum(_shares(values, edges), _LEAST_SHARE) for values in (then, now))
    return float(np.sum((q - p) * np.log(q / p)))


def ks(then: Values, now: Values) -> float:
    """The two-sample Kolmogorov-Smirnov statistic, of the numbers alone; 0 where either side has none."""
    then, now = then[~np.isnan(then)], now[~np.isnan(now)]
    return float(ks_2samp(then, now).statistic) if len(then) and len(now) else 0.0


def _shares(values: Values, edges: Values) -> NDArray[np.float64]:
    """(len(edges) + 2,): of each bin, and of NaN."""
    bins = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="left"))
    return np.bincount(bins, minlength=len(edges) + 2) / len(values)
