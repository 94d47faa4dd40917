"""Product lists of a block of users: scored, ordered by probability × value or by uplift, cut by the policy, explained.

A pure function of the block: no Spark, no files. What segments need (how much each product is worth to their members)
is summed here as well, in integers, so that the sum does not depend on who adds up in which order.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_contracts.policy import CompiledPolicy, Drop, decide
from data_contracts.scores import quantise
from spark_jobs.ranking.kernel import F32, I64, items_of, ordered_keys
from spark_jobs.ranking.products import ProductRanker, ProductScorer
from spark_jobs.ranking.rows import ProductTable
from spark_jobs.ranking.user_blocks import UserArrays
from spark_jobs.scoring.audience_pool import Reach
from spark_jobs.scoring.lists import LIST_LENGTH, Lists
from spark_jobs.scoring.reasons import Agreement, ReasonCoder

# A probability as a whole number; sums of 2^31 users fit int64.
PROBABILITY_UNIT = 2.0**-32
# Listed rows of a block whose reasons are also worked out exactly, which is slow.
_COMPARED = 8


@dataclass(frozen=True)
class ScoredBlock:
    """worth int64 (n, products): probability in `PROBABILITY_UNIT`s of those that may be shown, 0 elsewhere.

    reach: of the same, for audiences. agreement: of a few listed rows, how their reasons compare with exact ones.
    """

    lists: Lists
    reach: Reach
    worth: I64
    agreement: Agreement


class ProductLister:
    """Makes the lists of blocks of at most `block` users, in buffers that live as long as the lister."""

    def __init__(
        self,
        ranker: ProductRanker,
        products: ProductTable,
        *,
        policy: CompiledPolicy,
        coder: ReasonCoder,
        block: int,
    ) -> None:
        self._ranker = ranker
        self._scorer = ProductScorer(ranker, products, block)
        self._values, self._families = products.values, products.families
        self._policy = policy
        self._coder = coder
        self._keys = np.empty((block, len(products.values)), np.int64)

    def lists(self, users: UserArrays, gains: F32 | None = None) -> ScoredBlock:
        """gains: with them the order is that of `persuaded_order`."""
        probability = self._scorer.probabilities(users.features, users.pairs)
        scores, order = quantise(probability), self._order(probability, gains)
        decision = decide(self._policy, users.state, order, channel=None, top_k=LIST_LENGTH)
        row, place = np.nonzero(decision.keep)
        item = order[row, place]
        listed, booster = self._scorer.listed_rows(row, item), self._ranker.booster
        lists = Lists(
            offsets=np.concatenate([[0], np.cumsum(decision.keep.sum(axis=1))]).astype(np.int32),
            items=item,
            scores=scores[row, item],
            reasons=self._coder.codes(booster, listed),
        )
        may_be_shown = np.zeros_like(decision.keep)
        np.put_along_axis(may_be_shown, order, _stands(decision.reason), axis=1)
        worth = np.rint(probability / PROBABILITY_UNIT * may_be_shown).astype(np.int64)
        spread = listed[:: max(1, len(listed) // _COMPARED)][:_COMPARED]
        ranks = scores if gains is None else quantise(added_chance(gains, probability, families=self._families))
        reach = Reach(users.user_ids, may_be_shown, scores, ranks)
        return ScoredBlock(lists, reach, worth, self._coder.agreement(booster, spread))

    def _order(self, probability: F32, gains: F32 | None) -> NDArray[np.int32]:
        """(n, products): item codes, best first."""
        if gains is not None:
            return persuaded_order(gains, probability, values=self._values, families=self._families)
        keys = self._keys[: len(probability)]
        ordered_keys(probability * self._values, np.arange(len(self._values), dtype=np.int64), keys)
        keys.sort(axis=1)
        return np.asarray(items_of(keys[:, ::-1]), np.int32)


def persuaded_order(gains: F32, probability: F32, *, values: F32, families: I64) -> NDArray[np.int32]:
    """(n, products): by what showing a product brings, then by what it brings anyhow; then by code.

    Where showing adds nothing, or harms, a product stands behind all others, in the order of personal lists.
    """
    added = added_chance(gains, probability, families=families) * values
    codes = np.broadcast_to(np.arange(len(values)), added.shape)
    return np.asarray(np.lexsort((codes, -probability * values, -added)), np.int32)


def added_chance(gains: F32, probability: F32, *, families: I64) -> F32:
    """(n, products): by how much being shown a product adds to the chance to open it, from 0 to 1.

    gains (n, families): how much being shown the product of a family that suits adds to the chance to open it. That is
    the likeliest one; another of its family adds as much less as it is less likely.
    """
    best = np.zeros_like(gains)
    np.maximum.at(best.T, families, probability.T)
    suits = probability / np.maximum(best[:, families], np.finfo(np.float32).tiny)
    return np.asarray(np.clip(gains[:, families], 0, 1) * suits, np.float32)


def _stands(reason: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Items dropped only for what stands above them, or not at all: the user may be shown them."""
    return np.asarray((reason == Drop.NONE) | (reason > Drop.MISSING_PREREQUISITE))
