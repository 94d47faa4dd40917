"""The cold side: items that nobody met are placed by what they are like, users without history by their segment."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from data_contracts.vocabulary import Domain
from infra.local.world import generate
from spark_jobs.candidates.als import als_candidates
from spark_jobs.candidates.base import RetrievalModel
from spark_jobs.candidates.cold import blended, fit_ridge, predicted_factors
from spark_jobs.candidates.content import Block, ItemContent, content_of
from spark_jobs.candidates.params import RetrievalParams
from spark_jobs.candidates.retrieval import fit_retrieval, user_block
from spark_jobs.evaluation.tecd_log import MICROSECONDS_PER_DAY, OfferLog, read_tecd
from spark_jobs.features.history import Longs, UserHistory, build_history
from tests.unit.offer_events import DAY, N_ITEMS, offer_events
from tests.unit.world_samples import D

PARAMS = RetrievalParams(als_factors=8, als_regularization=1.0, als_min_users=1, popular=30, segment_users=5)
ITEM_IDS = np.array(["a", "b", "c", "d"])


def halves(*, seed: int = 5) -> ItemContent:
    """Content that tells the two halves of `offer_events` apart, in a noisy way."""
    noise = np.random.default_rng(seed).normal(0, 0.5, (N_ITEMS, 12))
    noise[:, 0] += np.where(np.arange(N_ITEMS) < N_ITEMS // 2, -2.0, 2.0)
    return ItemContent((Block(np.arange(N_ITEMS), noise.astype(np.float32)),))


def test_ridge_finds_a_linear_map_and_weights_choose_whom_to_believe() -> None:
    draws = np.random.default_rng(1)
    content = draws.normal(size=(200, 5)).astype(np.float32)
    truth = draws.normal(size=(5, 3))
    factors = (content @ truth + 2.0).astype(np.float32)
    factors[:100] = 77.0  # nonsense, which has no weight
    weights = np.repeat(np.array([0.0, 1.0], np.float32), 100)
    ridge = fit_ridge(content, factors, weights, l2=1e-6)
    np.testing.assert_allclose(ridge.predict(content[:100]), content[:100] @ truth + 2.0, atol=1e-3)
    flat = fit_ridge(content, factors, weights, l2=1e6)
    np.testing.assert_allclose(flat.predict(content[:3]), np.tile(factors[100:].mean(axis=0), (3, 1)), atol=1e-3)


def test_an_item_nobody_met_is_proposed_to_those_who_like_its_neighbours() -> None:
    events = offer_events()
    held = np.array([3, 23])  # one of each half
    history = build_history(events.take(~np.isin(events.item_code, held)), as_of=4 * DAY)
    model = fit_retrieval(history, n_items=N_ITEMS, params=PARAMS, seed=1, content=halves())
    found = als_candidates(user_block(history, model), model, 12)
    likes_second = history.user_ids % 2 == 1
    is_proposed = np.stack([(found.codes == code).any(axis=1) for code in held], axis=1)
    assert is_proposed[likes_second, 1].mean() > 0.5
    assert is_proposed[~likes_second, 0].mean() > 0.5
    assert is_proposed[likes_second, 0].mean() < 0.1
    assert is_proposed[~likes_second, 1].mean() < 0.1
    assert not fit_retrieval(history, n_items=N_ITEMS, params=PARAMS, seed=1).offered_factors[held].any()


def test_without_content_what_is_learned_stays_as_it_was() -> None:
    history = build_history(offer_events(), as_of=4 * DAY)
    model = fit_retrieval(history, n_items=N_ITEMS, params=PARAMS, seed=1, content=ItemContent())
    np.testing.assert_array_equal(model.offered_factors, model.item_factors)


def test_content_gives_way_to_behaviour_as_users_come() -> None:
    learned, predicted = np.ones((3, 2), np.float32), np.zeros((3, 2), np.float32)
    learned[0], predicted[:2] = 0.0, 5.0
    mixed = blended(learned, predicted, np.array([2, 3, 3]), strength=1.0)
    np.testing.assert_allclose(mixed, [[5, 5], [2, 2], [1, 1]])  # not learned; three users against one; no content


def test_too_few_items_teach_nothing() -> None:
    content = ItemContent((Block(np.arange(30), np.ones((30, 4), np.float32)),))
    factors = np.zeros((30, 2), np.float32)
    factors[:19] = 1.0
    assert not predicted_factors(content, factors, np.full(30, 9), l2=1.0).any()


def test_an_item_without_an_embedding_has_its_brands() -> None:
    nothing: list[float] = []
    items = pa.table(
        {
            "item_id": ["d", "b", "a", "unknown"],
            "brand_id": pa.array([7, 7, 8, 7], pa.int64()),
            "embedding": pa.array([nothing, [1.0, 2.0], None, [3.0, 4.0]], pa.list_(pa.float32())),
        }
    )
    brands = pa.table(
        {
            "brand_id": pa.array([9, 7, 8], pa.int64()),
            "embedding": pa.array([[0.0] * 3, [1.0] * 3, [float("nan")] * 3], pa.list_(pa.float32())),
        }
    )
    own, of_brand = content_of(items, brands, ITEM_IDS).blocks
    assert (own.codes.tolist(), own.vectors.tolist()) == ([1], [[1, 2]])
    assert (of_brand.codes.tolist(), of_brand.vectors.tolist()) == ([1, 3], [[1, 1, 1]] * 2)


def test_a_user_without_history_has_the_vector_of_a_large_segment() -> None:
    history = build_history(offer_events(), as_of=4 * DAY)
    segment = (1 + history.user_ids % 2).astype(np.int16)
    segment[:3] = 3  # too few for a vector
    model = fit_retrieval(history, n_items=N_ITEMS, params=PARAMS, seed=1, segment=segment)
    nobody = UserHistory.empty().for_users(np.arange(900, 905, dtype=np.int64))
    block = user_block(nobody, model, segment=np.array([0, 1, 2, 3, 40], np.int16))
    assert block.vectors.any(axis=1).tolist() == [False, True, True, False, False]
    proposed = als_candidates(block, model, 5).codes
    assert (proposed[1] < N_ITEMS // 2).mean() > 0.7
    assert (proposed[2] >= N_ITEMS // 2).mean() > 0.7


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[OfferLog, int]:
    """The marketplace of a sample world, and its last moment."""
    world = tmp_path_factory.mktemp("cold") / "world"
    generate(world, users=1000, days=10, seed=7, last_date=D, horizon_days=7)
    last = max(int(path.stem) for path in (world / "tecd/marketplace/events").glob("*.pq"))
    cut = (last + 1) * MICROSECONDS_PER_DAY
    return read_tecd(str(world / "tecd"), domains=[Domain.MARKETPLACE], test_day=last, cut=cut), cut


def test_held_out_items_of_a_sample_world_are_ranked_above_chance(shop: tuple[OfferLog, int]) -> None:
    """How often a user's vector puts a held-out item that the user met above one that the user did not: AUC."""
    log, cut = shop
    held = np.random.default_rng(3).random(log.n_items) < 0.2
    history = build_history(log.events.take(~held[log.events.item_code]), as_of=cut)
    model = fit_retrieval(history, n_items=log.n_items, params=RetrievalParams(), seed=1, content=log.content)
    assert auc_of(log, history, model, np.flatnonzero(held)) > 0.6
    deaf = replace(model, offered_factors=np.random.default_rng(4).permutation(model.offered_factors))
    assert abs(auc_of(log, history, deaf, np.flatnonzero(held)) - 0.5) < 0.05


def auc_of(log: OfferLog, history: UserHistory, model: RetrievalModel, held: Longs) -> float:
    met = np.isin(log.events.item_code, held) & np.isin(log.events.user_id, history.user_ids)
    users = np.searchsorted(history.user_ids, log.events.user_id[met])
    pairs = np.unique(users * log.n_items + log.events.item_code[met])
    users, codes = np.divmod(pairs, log.n_items)
    vectors = user_block(history, model).vectors[users]
    own = np.einsum("pd,pd->p", vectors, model.offered_factors[codes])
    return float((own[:, None] > vectors @ model.offered_factors[held].T).mean())
