"""The cold side of the dual encoder: from what an item is like to where it would lie among the factors.

A ridge regression (Hoerl and Kennard, "Ridge Regression", 1970) from content to the factors of items that many met
places those that few or nobody met yet, as in Gantner et al., "Learning Attribute-to-Feature Mappings for Cold-Start
Recommendations", 2010. Pure NumPy. Without content nothing is placed, and all that is learned stays as it was.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from spark_jobs.candidates.content import Block, ItemContent
from spark_jobs.features.history import Floats, Longs

# Items that a regression needs at least, to say anything about others.
LEAST_ITEMS = 20


@dataclass(frozen=True)
class Ridge:
    """factors ≈ intercept [d] + (content - mean [e]) @ weights [e, d]."""

    mean: Floats
    intercept: Floats
    weights: Floats

    def predict(self, content: Floats) -> Floats:
        """float32 [n, d] of content [n, e]."""
        predicted: Floats = (self.intercept + (content - self.mean) @ self.weights).astype(np.float32)
        return predicted


def fit_ridge(content: Floats, factors: Floats, weights: Floats, *, l2: float) -> Ridge:
    """Weighted least squares of factors [n, d] on content [n, e]; weights ≥ 0 [n], not all 0.

    l2 is a share of the content's mean variance, so that it means the same whatever the content's scale.
    """
    share = (weights / weights.sum()).astype(np.float64)[:, None]
    mean, intercept = (share * content).sum(axis=0), (share * factors).sum(axis=0)
    x, y = content - mean, factors - intercept
    gram = x.T @ (share * x)
    damped = gram + (l2 * np.trace(gram) / len(gram) + 1e-12) * np.eye(len(gram))
    return Ridge(mean, intercept, np.linalg.solve(damped, x.T @ (share * y)))


def predicted_factors(content: ItemContent, factors: Floats, users: Longs, *, l2: float) -> Floats:
    """Factors by content, float32 [I, d]; zero where nothing is known.

    factors [I, d] as learned, zero where not; users int64 [I] who met each. An item follows the first block it is in.
    """
    is_learned = factors.any(axis=1)
    placed = np.zeros(len(factors), dtype=bool)
    answer = np.zeros_like(factors)
    with threadpool_limits(1, user_api="blas"):
        for block in content.blocks:
            ridge = _of_block(block, factors, users, is_learned=is_learned, l2=l2)
            if ridge is not None:
                new = ~placed[block.codes]
                answer[block.codes[new]] = ridge.predict(block.vectors[new])
                placed[block.codes] = True
    return answer


def blended(factors: Floats, predicted: Floats, users: Longs, *, strength: float) -> Floats:
    """Learned factors, drawn to the predicted ones as if `strength` users had said so; what was not learned is these.

    Where nothing was predicted, what was learned stays as it is.
    """
    is_learned, is_predicted = factors.any(axis=1), predicted.any(axis=1)
    own = np.where(is_learned, users, 0).astype(np.float32)
    share = np.where(is_predicted, strength / (own + strength), 0.0).astype(np.float32)[:, None]
    mixed: Floats = (1 - share) * factors + share * predicted
    return mixed


def _of_block(
    block: Block, factors: Floats, users: Longs, *, is_learned: npt.NDArray[np.bool_], l2: float
) -> Ridge | None:
    known = is_learned[block.codes]
    if known.sum() < LEAST_ITEMS:
        return None
    codes = block.codes[known]
    return fit_ridge(block.vectors[known], factors[codes], np.sqrt(users[codes]).astype(np.float32), l2=l2)
