"""Repeat behaviour: what a user met before, the latest and the most often first. Seen items are a signal here."""

import numpy as np

from spark_jobs.candidates.base import Candidates, RetrievalModel, UserBlock, best
from spark_jobs.features.history import Floats, UserHistory


def seed_weights(history: UserHistory, *, half_life: float) -> Floats:
    """How much each of a user's items speaks for what comes next, float32 [N]: count, decayed by its last age."""
    decay = 0.5 ** (history.column("last_age") / half_life)
    weights: Floats = (np.log2(1.0 + history.column("count")) * decay).astype(np.float32)
    return weights


def repeat_candidates(block: UserBlock, model: RetrievalModel, k: int) -> Candidates:
    history = block.history
    scores = seed_weights(history, half_life=model.params.recency_half_life)
    return best(history.rows, history.item_code, scores, n_rows=len(block), k=k)
