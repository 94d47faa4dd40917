"""Lists for those who have none of their own: the best of each segment, and the best of all.

Products: of a segment by how often its users open each, drawn to what the portraits say of them (`strangers`), × value;
of all by the mean over the scored users of probability × value, where who may not be shown a product counts as zero. On
sale and not blocked is all that is asked here: nobody's attributes are known yet, so the policy decides again for the
user who looks.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_contracts.columns import (
    OFFER_ITEMS,
    OFFER_REASONS,
    OFFER_SCORES,
    PRODUCT_ITEMS,
    PRODUCT_REASONS,
    PRODUCT_SCORES,
    SEGMENT,
)
from data_contracts.policy import CompiledPolicy
from data_contracts.scores import quantise
from data_contracts.vocabulary import Tier
from spark_jobs.candidates.base import RetrievalModel
from spark_jobs.candidates.strangers import Doubles
from spark_jobs.ranking.kernel import F32, items_of, ordered_keys
from spark_jobs.scoring.lists import LIST_LENGTH, Ranked
from spark_jobs.scoring.product_lists import PROBABILITY_UNIT
from spark_jobs.scoring.stage import Worth

_ARRAY_TYPES = {
    PRODUCT_ITEMS: pa.int32(),
    PRODUCT_SCORES: pa.uint16(),
    PRODUCT_REASONS: pa.uint16(),
    OFFER_ITEMS: pa.int32(),
    OFFER_SCORES: pa.uint16(),
    OFFER_REASONS: pa.uint16(),
}
FALLBACK_SCHEMA = pa.schema(
    [("tier", pa.string()), (SEGMENT, pa.int16()), *((name, pa.list_(kind)) for name, kind in _ARRAY_TYPES.items())]
)


def popular_products(worth: Worth, *, rates: Doubles, values: F32, policy: CompiledPolicy) -> dict[int | None, Ranked]:
    """The most valuable products by segment, and of all users under None; only segments with a scored user.

    rates [segments, products]: openings a stranger and horizon.
    """
    ranked: dict[int | None, Ranked] = {
        int(segment): _best(rates[segment], values, policy) for segment in np.flatnonzero(worth.users)
    }
    if ranked:
        ranked[None] = _best(worth.worth.sum(axis=0) * PROBABILITY_UNIT / worth.users.sum(), values, policy)
    return ranked


def popular_offers(
    model: RetrievalModel,
    *,
    users: Mapping[int, int],
    most_sampled: int,
    horizon_hours: float,
    first_code: int,
    blocked: NDArray[np.bool_],
) -> dict[int | None, Ranked]:
    """The popular offers of each segment of `users` (segment -> how many), and everybody's under None.

    Score: a decayed sum S of events with half-life h comes from a steady rate of S × ln 2 / h, so each of n users does
    something with the item within the horizon H with probability 1 - exp(-S × ln 2 / h × H / n). The sums were taken
    over a sample of at most `most_sampled` users. blocked (items of the model,): under a compliance stop, on no list.
    """
    everybody = max(sum(users.values()), 1)
    share = min(1.0, most_sampled / everybody)
    rate = np.log(2) / model.params.popular_half_life * horizon_hours

    def ranked(row: int, count: int) -> Ranked:
        is_item = (model.popular[row] >= 0) & ~blocked[model.popular[row]]
        codes, sums = model.popular[row][is_item][:LIST_LENGTH], model.popular_scores[row][is_item][:LIST_LENGTH]
        probability = -np.expm1(-sums.astype(np.float64) * rate / max(count * share, 1.0))
        return Ranked((codes + first_code).astype(np.int32), quantise(probability))

    def of_segment(segment: int) -> Ranked:
        # A segment too small for a list of its own has everybody's.
        is_own = segment < len(model.popular) and not np.array_equal(model.popular[segment], model.popular[0])
        return ranked(segment, users[segment]) if segment and is_own else ranked(0, everybody)

    return {None: ranked(0, everybody), **{segment: of_segment(segment) for segment in sorted(users)}}


def fallback_table(
    products: Mapping[int | None, Ranked], offers: Mapping[int | None, Ranked], *, reason: int
) -> pa.Table:
    """`fallback_lists`: one row a segment that has products or offers, and one for all, in that order.

    A segment that lacks a kind takes everybody's; `reason` is the code that goes with every item.
    """
    segments = sorted({segment for segment in (*products, *offers) if segment is not None})
    rows = [_row(Tier.SEGMENT, segment, products, offers, reason) for segment in segments]
    rows.append(_row(Tier.POPULAR, None, products, offers, reason))
    return pa.Table.from_pylist(rows, schema=FALLBACK_SCHEMA)


def _row(
    tier: Tier,
    segment: int | None,
    products: Mapping[int | None, Ranked],
    offers: Mapping[int | None, Ranked],
    reason: int,
) -> dict[str, object]:
    row: dict[str, object] = {"tier": tier.value, SEGMENT: segment or 0}
    kinds = (
        (products, PRODUCT_ITEMS, PRODUCT_SCORES, PRODUCT_REASONS),
        (offers, OFFER_ITEMS, OFFER_SCORES, OFFER_REASONS),
    )
    for lists, items, scores, reasons in kinds:
        chosen = lists.get(segment, lists.get(None, Ranked.nothing()))
        row |= {items: chosen.items, scores: chosen.scores, reasons: [reason] * len(chosen.items)}
    return row


def _best(expected: Doubles, values: F32, policy: CompiledPolicy) -> Ranked:
    probability = np.clip(expected, 0.0, 1.0)
    items = np.arange(len(values), dtype=np.int64)
    worth = (probability * values).astype(np.float32)[None, :]
    order = items_of(np.sort(ordered_keys(worth, items, np.empty((1, len(values)), np.int64)), axis=1))[0, ::-1]
    may_be_sold = order[(policy.sold & ~policy.blocked)[order]][:LIST_LENGTH]
    return Ranked(may_be_sold.astype(np.int32), quantise(probability[may_be_sold]))
