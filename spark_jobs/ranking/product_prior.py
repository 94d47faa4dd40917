"""How often each product is opened within a horizon, as the catalogue and the past tell it: also of one without a past.

Empirical Bayes of counts (the Poisson-Gamma model of Clayton and Kaldor, Biometrics 1987). Of product p, opened c_p
times while it was on sale for a share e_p of the window:

    c_p ~ Poisson(e_p × rate_p),  rate_p ~ Gamma(mean m_p, shape a)   so   E[rate_p | c_p] = (c_p + a) / (e_p + a / m_p)

m_p is what products of its family that are like it say (see `likeness`), drawn to the mean of all by the weight of one
product: m_p = (sum of l_pq × c_q + m) / (sum of l_pq × e_q + 1). A product that was not on sale thus has exactly m_p,
and one long on sale what it earned. `a` is by moments, a share of m_p² in how far the counts lie from m_p.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_contracts.catalogue import Product

Doubles = npt.NDArray[np.float64]

# On sale for less than this share of a window, a product is new: who has not met it yet says nothing about it.
_NEW = 0.5
_SHAPES = (0.2, 5.0)
# What a product that is safe for anyone says of one that is not, and the other way round.
_OTHER_AUDIENCE = 0.2


@dataclass(frozen=True)
class Priors:
    """(p,) each: log odds that a user opens a product within a horizon; which products are new."""

    odds: npt.NDArray[np.float32]
    is_new: npt.NDArray[np.bool_]


def is_new(exposure: Doubles) -> npt.NDArray[np.bool_]:
    """(p,): on sale for less than half of the window, or not at all."""
    return np.asarray(exposure < _NEW)


def likeness(products: Sequence[Product]) -> Doubles:
    """(p, p) in [0, 1]: 0 between families and of a product to itself.

    exp(-(|difference of log values| + |difference of the number of bounds on who may have it|) / 2), less where only
    one of the two is for everybody.
    """
    family = np.array([product.family.value for product in products])
    value = np.log([product.value for product in products])
    bounds = np.array([_bounds(product) for product in products], np.float64)
    is_safe = np.array([product.safe_for_anyone for product in products], bool)
    far = np.abs(value[:, None] - value) + np.abs(bounds[:, None] - bounds)
    like = np.exp(-far / 2) * np.where(is_safe[:, None] == is_safe, 1.0, _OTHER_AUDIENCE)
    like[family[:, None] != family] = 0.0
    np.fill_diagonal(like, 0.0)
    return np.asarray(like, np.float64)


def expected_openings(counts: Doubles, exposure: Doubles, like: Doubles) -> Doubles:
    """(p,) > 0: openings expected in a whole window, from those counted in it; exposure (p,) in [0, 1]."""
    overall = (counts.sum() + 0.5) / (exposure.sum() + 1.0)
    mean = (like @ counts + overall) / (like @ exposure + 1.0)
    shape = _shape(counts, exposure, mean)
    return np.asarray((counts + shape) / (exposure + shape / mean), np.float64)


def _shape(counts: Doubles, exposure: Doubles, mean: Doubles) -> float:
    """Var(c) = e m + (e m)² / a, of the products on sale; kept in bounds where they are few."""
    expected = exposure * mean
    beyond_chance = ((counts - expected) ** 2 - expected)[exposure > 0].sum()
    if beyond_chance <= 0:
        return _SHAPES[1]
    return float(np.clip((expected**2).sum() / beyond_chance, *_SHAPES))


def _bounds(product: Product) -> int:
    return len(product.eligibility.model_dump(exclude_none=True))
