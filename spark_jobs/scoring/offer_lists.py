"""Offer lists of a block of users, by the retrieval engineer's `rank_offers`, cut by the policy and explained.

Item codes of a snapshot count products first, so an offer's code is its place in the offers' index plus the number of
products.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_contracts.catalogue import Reasons
from data_contracts.columns import SEGMENT
from data_contracts.policy import decide_offers
from data_contracts.scores import quantise
from spark_jobs.features.history import Floats
from spark_jobs.features.offer_tables import history_of
from spark_jobs.ranking.offers import OfferModels, rank_offers
from spark_jobs.ranking.user_state import policy_users
from spark_jobs.scoring.lists import LIST_LENGTH, Lists
from spark_jobs.scoring.reasons import Codes, ReasonCoder

# Candidates ranked beyond the list, so that what the policy drops is replaced.
_SPARE = 5
# What reasons call the groups of the offer ranker's features.
_REASON_PREFIXES = {
    "user_": "f_offers_",
    "item_": "f_popular_",
    "pair_": "f_item_",
    "source_": "f_retrieval_",
    "similar_": "f_retrieval_",
}


@dataclass(frozen=True)
class OfferInputs:
    """What offer lists are made with; a value that is broadcast. products: how many the catalogue has."""

    models: OfferModels
    products: int
    blocked: frozenset[str]
    reasons: Reasons

    @property
    def is_blocked(self) -> NDArray[np.bool_]:
        """(items of the models,): those under a compliance stop."""
        return np.isin(self.models.item_ids, sorted(self.blocked))


class OfferLister:
    """Lists of rows that hold user_state, segment and `gold.user_history`'s columns, in ascending order of users."""

    def __init__(self, inputs: OfferInputs) -> None:
        self._models = inputs.models
        self._products = inputs.products
        self._blocked = inputs.is_blocked
        names = inputs.models.ranker.feature_names
        self._coder = ReasonCoder(inputs.reasons, [_reason_name(name) for name in names], booster_names=names)

    def lists(self, rows: pa.RecordBatch) -> Lists:
        segment = rows.column(SEGMENT).to_numpy()
        ranked = rank_offers(history_of(rows), self._models, k=LIST_LENGTH + _SPARE, segment=segment)
        users = policy_users(rows, products=self._products)
        kept = decide_offers(users, ranked.codes, blocked=self._blocked, channel=None, top_k=LIST_LENGTH).keep
        is_listed = ranked.codes >= 0
        return Lists(
            offsets=np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int32),
            items=(ranked.codes[kept] + self._products).astype(np.int32),
            scores=quantise(ranked.probabilities[kept]),
            reasons=self._reasons(ranked.features[kept[is_listed]]),
        )

    def _reasons(self, features: Floats) -> Codes:
        ranker = self._models.ranker
        moved = ranker.prior.moved(features[:, ranker.fusion])
        return self._coder.codes(ranker.boosters[0], features, beside={ranker.fusion: moved})


def _reason_name(name: str) -> str:
    group = next((group for group in _REASON_PREFIXES if name.startswith(group)), "")
    return f"{_REASON_PREFIXES.get(group, '')}{name.removeprefix(group)}"
