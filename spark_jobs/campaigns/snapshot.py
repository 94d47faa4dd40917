"""What campaigns ask of a snapshot: its documents, its users, and what each user is worth to each campaign."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_contracts.campaigns import Campaign, Known, held_out
from data_contracts.catalogue import Catalogue
from data_contracts.columns import PRODUCT_ITEMS, PRODUCT_SCORES, SEGMENT, USER_ID, VARIANT
from data_contracts.errors import InputError
from data_contracts.policy import CompiledPolicy, Drop, standing_drops
from data_contracts.scores import dequantise
from data_contracts.vocabulary import Channel
from spark_jobs.campaigns.problem import Bools, Ints
from spark_jobs.campaigns.withheld import NO_EVENTS, Events, Withheld, withheld
from spark_jobs.lake.files import read_bytes
from spark_jobs.lake.snapshot_files import snapshot_batches, snapshot_table
from spark_jobs.ranking.user_state import numbers, policy_users

_NO_PRODUCT = -1


@dataclass(frozen=True)
class Reach:
    """C campaigns and U users, of ascending id. Where a user is out of a campaign's audience, score is 0.

    region (U,): as in user_state.
    score (C, U) float32: the probability of `product` (C, U), a position in the catalogue; worth (C, U) float32: score
    × product's value × the campaign's priority.
    """

    user_ids: Ints
    region: Ints
    score: NDArray[np.float32]
    product: NDArray[np.int16]
    worth: NDArray[np.float32]

    def held_out(self, campaigns: Sequence[Campaign]) -> Bools:
        """(C, U) who of each audience is in its control group."""
        return np.array([held_out(one, self.user_ids) for one in campaigns]).reshape(self.score.shape) & (
            self.score > 0
        )


def catalogue_of(snapshot: str) -> Catalogue:
    return Catalogue.model_validate_json(read_bytes(f"{snapshot}/catalogue.json"))


def known_by(snapshot: str) -> Known:
    """What campaigns may speak of."""
    segments = pc.unique(snapshot_table(snapshot, "user_state").column(SEGMENT)).to_pylist()
    return Known(catalogue_of(snapshot), frozenset(segments))


def reach_of(
    snapshot: str,
    campaigns: Sequence[Campaign],
    *,
    policy: CompiledPolicy,
    catalogue: Catalogue,
    events: Events = NO_EVENTS,
) -> Reach:
    """Who may be asked by whom, and with what: the first of a campaign's products on the user's list that the policy
    lets the campaign's channel show and no event keeps back. Lists are streamed; of the users their state is held.

    Raises InputError where the snapshot has no lists of the variant that a campaign asks for.
    """
    state = snapshot_table(snapshot, "user_state").sort_by(USER_ID).combine_chunks()
    user_ids, region = (np.asarray(numbers(state, name), np.int64) for name in (USER_ID, "region"))
    shape = (len(campaigns), len(user_ids))
    score, worth = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    found = Reach(user_ids, region, score, np.full(shape, _NO_PRODUCT, np.int16), worth)
    seen: set[str] = set()
    kept_back = {one.channel: withheld(events, policy=policy, channel=one.channel) for one in campaigns}
    for variant, lists in _by_variant(snapshot):
        seen.add(variant)
        asking = [number for number, one in enumerate(campaigns) if one.audience.variant.value == variant]
        if asking:
            _look_through(
                lists,
                asking,
                campaigns,
                state=state,
                policy=policy,
                catalogue=catalogue,
                found=found,
                kept_back=kept_back,
            )
    for one in campaigns:
        if seen and one.audience.variant.value not in seen:
            raise InputError(
                f"campaign {one.name}: audience.variant: {snapshot.rpartition('/')[2]} has no {one.audience.variant} "
                f"lists, only {', '.join(sorted(seen))}: RECS_OUTBOUND_VARIANTS has a night make them"
            )
    values = np.array([product.value for product in catalogue.products])
    for number, one in enumerate(campaigns):
        found.worth[number] = found.score[number] * values[found.product[number]] * one.priority
        _keep_best(found, number, one.audience.size)
    return found


def _by_variant(snapshot: str) -> Iterator[tuple[str, pa.RecordBatch]]:
    for batch in snapshot_batches(snapshot, "lists"):
        for variant in pc.unique(batch.column(VARIANT)).to_pylist():
            yield variant, batch.filter(pc.equal(batch.column(VARIANT), variant))


def _look_through(
    lists: pa.RecordBatch,
    asking: Sequence[int],
    campaigns: Sequence[Campaign],
    *,
    state: pa.Table,
    policy: CompiledPolicy,
    catalogue: Catalogue,
    found: Reach,
    kept_back: Mapping[Channel, Withheld],
) -> None:
    """Enter users of a batch of lists, all of one variant, with the campaigns that ask for it."""
    ids = np.asarray(numbers(lists, USER_ID), np.int64)
    place = np.minimum(np.searchsorted(found.user_ids, ids), max(len(found.user_ids) - 1, 0))
    is_known = found.user_ids[place] == ids if len(found.user_ids) else np.zeros(len(ids), np.bool_)
    lists, place = lists.filter(pa.array(is_known)), place[is_known]
    items, scores = _padded(lists)
    whom = state.take(pa.array(place))
    users, segments = policy_users(whom, products=policy.products), numbers(whom, SEGMENT)
    channels = {campaigns[number].channel for number in asking}
    may = {
        channel: (standing_drops(policy, users, channel=channel) == Drop.NONE)
        & ~kept_back[channel].of(found.user_ids[place])
        for channel in channels
    }
    rows = np.arange(len(place))
    for number in asking:
        one = campaigns[number]
        admitted = _positions(one, catalogue) & may[one.channel]
        if one.audience.segments is not None:
            admitted &= np.isin(segments, list(one.audience.segments))[:, None]
        fits = (items >= 0) & (scores >= one.audience.min_score) & admitted[rows[:, None], items]
        first = np.argmax(fits, axis=1)
        reached = fits[rows, first]
        found.score[number, place[reached]] = scores[rows, first][reached]
        found.product[number, place[reached]] = items[rows, first][reached]


def _positions(one: Campaign, catalogue: Catalogue) -> Bools:
    """(P,) what the campaign offers."""
    offered = {product.product_id for product in one.products(catalogue)}
    return np.array([product.product_id in offered for product in catalogue.products], np.bool_)


def _padded(lists: pa.RecordBatch) -> tuple[NDArray[Any], NDArray[Any]]:
    """Product positions (n, longest), -1 where a list has ended, and their probabilities."""
    sizes = pc.list_value_length(lists.column(PRODUCT_ITEMS)).to_numpy(zero_copy_only=False).astype(np.int64)
    is_filled = np.arange(max(int(sizes.max(initial=0)), 1)) < sizes[:, None]
    items, scores = np.full(is_filled.shape, -1, np.int64), np.zeros(is_filled.shape)
    items[is_filled] = lists.column(PRODUCT_ITEMS).flatten().to_numpy()
    scores[is_filled] = dequantise(lists.column(PRODUCT_SCORES).flatten().to_numpy())
    return items, scores


def _keep_best(found: Reach, number: int, size: int | None) -> None:
    """Of a campaign's audience only the `size` who are worth most; of equals those of lower id."""
    if size is not None and np.count_nonzero(found.worth[number]) > size:
        beyond = np.argsort(-found.worth[number], kind="stable")[size:]
        found.score[number, beyond], found.worth[number, beyond] = 0, 0
        found.product[number, beyond] = _NO_PRODUCT
