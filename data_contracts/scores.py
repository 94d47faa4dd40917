"""Scores as they are stored: calibrated probabilities quantised on the logit scale to 16 bits.

The logit is cut to ±12 (probabilities from 6e-6 to 1 - 6e-6) and laid on 65,536 even steps, so a stored score is
within `LOGIT_ERROR` of the true logit, which is a relative error of the probability of at most 0.02 %, and order is
kept. Vectorised; the only code that knows the scale.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

LOGIT_LIMIT = 12.0
_STEPS = 65_535
_STEP = 2 * LOGIT_LIMIT / _STEPS
LOGIT_ERROR = _STEP / 2


def quantise(probability: ArrayLike) -> NDArray[np.uint16]:
    """`round((clip(logit(p), -12, 12) + 12) / 24 * 65535)` of probabilities in [0, 1], any shape.

    Raises ValueError on NaN or values outside [0, 1]: no score may come from them.
    """
    p = np.asarray(probability, dtype=np.float64)
    if not np.all((p >= 0) & (p <= 1)):
        raise ValueError("scores are probabilities: some are outside 0..1 or not numbers")
    with np.errstate(divide="ignore"):
        logit = np.log(p) - np.log1p(-p)
    cut: NDArray[Any] = np.clip(logit, -LOGIT_LIMIT, LOGIT_LIMIT)
    return np.asarray(np.rint((cut + LOGIT_LIMIT) / _STEP), dtype=np.uint16)


def dequantise(score: ArrayLike) -> NDArray[np.float64]:
    """The probability in the middle of each stored score's step, any shape."""
    return np.asarray(1.0 / (1.0 + np.exp(-log_odds(score))))


def log_odds(score: ArrayLike) -> NDArray[np.float64]:
    """The logit in the middle of each stored score's step, any shape."""
    return np.asarray(np.asarray(score, dtype=np.float64) * _STEP - LOGIT_LIMIT)
