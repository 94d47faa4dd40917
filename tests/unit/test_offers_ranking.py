"""The offer ranker: what it learns from, what it lists, and that it can be kept and had again."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from data_contracts.errors import InputError
from spark_jobs.candidates.base import best
from spark_jobs.candidates.blend import fused
from spark_jobs.candidates.params import RetrievalParams
from spark_jobs.candidates.retrieval import fit_retrieval, user_block
from spark_jobs.features.history import MICROSECONDS_PER_HOUR, Events, UserHistory, build_history, members
from spark_jobs.features.item_features import ItemAttributes, item_features, item_sums
from spark_jobs.ranking import offers_training
from spark_jobs.ranking.boosting import BoosterParams
from spark_jobs.ranking.calibration import auc
from spark_jobs.ranking.newest import is_in_first
from spark_jobs.ranking.offers import OfferModels, OfferParams, OfferRanker, RankedOffers, rank_offers
from spark_jobs.ranking.offers_features import FEATURES, feature_matrix, union, usable_features
from spark_jobs.ranking.offers_store import load_offer_models, save_offer_ranker, save_retrieval
from spark_jobs.ranking.offers_training import (
    Cut,
    Plan,
    labelled_pairs,
    newest_cut,
    night_plan,
    told_by_halves,
    train_and_judge,
    train_offer_ranker,
)
from tests.unit.offer_events import DAY, N_ITEMS, offer_events, shuffled

RETRIEVAL = RetrievalParams(als_factors=8, als_regularization=1.0, als_min_users=1, popular=30)
OFFERS = OfferParams(
    candidates={"repeat": 20, "item_item": 20, "als": 10, "popular": 20}, booster=BoosterParams(rounds=20, depth=3)
)
CUT_OFF = 4 * DAY
ATTRIBUTES = ItemAttributes(
    brand=np.arange(N_ITEMS, dtype=np.int32) % 4,
    category=(np.arange(N_ITEMS) // (N_ITEMS // 2)).astype(np.int32),
    subcategory=np.full(N_ITEMS, -1, np.int32),
    price=np.where(np.arange(N_ITEMS) % 3, 1.5, np.nan).astype(np.float32),
)


def plan() -> Plan:
    return night_plan(first=0, cut_off=CUT_OFF, horizon_hours=24, gap_hours=12)


def train(events: Events, *, seed: int = 1, params: OfferParams = OFFERS) -> OfferRanker:
    return train_offer_ranker(
        events, attributes=ATTRIBUTES, plan=plan(), retrieval=RETRIEVAL, params=params, seed=seed, threads=1
    )


def models_at(events: Events, as_of: int, ranker: OfferRanker) -> tuple[UserHistory, OfferModels]:
    history = build_history(events, as_of=as_of)
    fitted = fit_retrieval(history, n_items=N_ITEMS, params=RETRIEVAL, seed=1)
    items = item_features(item_sums(history, n_items=N_ITEMS), attributes=ATTRIBUTES)
    return history, OfferModels(np.array([f"item-{code:02}" for code in range(N_ITEMS)]), items, fitted, ranker)


@pytest.fixture(scope="module")
def night() -> tuple[UserHistory, OfferModels]:
    return models_at(offer_events(), CUT_OFF, train(offer_events()))


@pytest.fixture(scope="module")
def ranked(night: tuple[UserHistory, OfferModels]) -> RankedOffers:
    return rank_offers(night[0], night[1], k=8)


def test_lists_hold_distinct_known_offers_most_probable_first(ranked: RankedOffers) -> None:
    assert (ranked.codes >= 0).all()
    assert (ranked.codes < N_ITEMS).all()
    assert all(len(set(codes)) == len(codes) for codes in ranked.codes.tolist())
    assert (np.diff(ranked.probabilities, axis=1) <= 0).all()
    assert ((ranked.probabilities > 0) & (ranked.probabilities < 1)).all()


def test_a_users_list_does_not_depend_on_who_else_is_ranked(
    night: tuple[UserHistory, OfferModels], ranked: RankedOffers
) -> None:
    history, models = night
    alone = rank_offers(history.block(17, 18), models, k=8)
    np.testing.assert_array_equal(alone.codes, ranked.codes[17:18])
    np.testing.assert_allclose(alone.probabilities, ranked.probabilities[17:18], rtol=1e-4)


def test_users_are_shown_the_half_of_the_offers_that_they_like(
    night: tuple[UserHistory, OfferModels], ranked: RankedOffers
) -> None:
    own_half = night[0].user_ids[:, None] % 2
    assert (ranked.codes[:, :5] // (N_ITEMS // 2) == own_half).mean() > 0.9


def test_the_ranker_starts_from_rank_fusion_and_learns_what_it_does_not_know(
    night: tuple[UserHistory, OfferModels],
) -> None:
    history, models = night
    pairs = union(user_block(history, models.retrieval), models.retrieval, models.items, per_source=OFFERS.candidates)
    rows = feature_matrix(pairs, models.ranker.feature_names)
    fusion = rows[:, models.ranker.fusion]

    listed = fused(pairs.lists, history.sizes, N_ITEMS)
    said = best(pairs.rows, pairs.codes, fusion, n_rows=len(history), k=N_ITEMS)
    np.testing.assert_allclose(said.scores[:, :5], np.log(listed.scores[:, :5]), rtol=1e-4)

    untaught = replace(models.ranker, boosters=tuple(booster[:1] for booster in models.ranker.boosters))
    start = models.ranker.prior.margins(fusion)
    assert np.corrcoef(untaught.margins(rows), start)[0, 1] > 0.99
    assert np.corrcoef(models.ranker.margins(rows), start)[0, 1] < np.corrcoef(untaught.margins(rows), start)[0, 1]
    assert models.ranker.prior.slope > 0
    moved = models.ranker.prior.moved(fusion)
    np.testing.assert_allclose(moved - moved[0], start - start[0], atol=1e-4)


def test_a_list_holds_what_all_boosters_together_put_first(night: tuple[UserHistory, OfferModels]) -> None:
    """The first of them passes twice as many as are listed to the others."""
    history, models = night
    short, whole = (rank_offers(history, models, k=k, explain=False).codes for k in (5, N_ITEMS))
    assert (short == whole[:, :5]).mean() > 0.99


def test_more_threads_tell_the_same_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offers_training, "_USERS_AT_ONCE", 7)
    one, two = (
        labelled_pairs(
            offer_events(),
            newest_cut(cut_off=CUT_OFF, horizon_hours=24, gap_hours=12),
            attributes=ATTRIBUTES,
            retrieval=RETRIEVAL,
            params=OFFERS,
            names=FEATURES,
            negative_share=0.5,
            only_active=False,
            seed=1,
            threads=threads,
        )
        for threads in (1, 2)
    )
    for name in vars(one):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_who_has_no_history_gets_a_list_too(night: tuple[UserHistory, OfferModels]) -> None:
    nobody = night[0].for_users(np.array([10**6], dtype=np.int64))
    assert (rank_offers(nobody, night[1], k=8).codes >= 0).all()


def test_probabilities_hold_on_a_day_that_nothing_was_learned_from() -> None:
    """The mean probability is the share of pairs that came true, within a fifth."""
    events = offer_events(days=6)
    history, models = models_at(events, CUT_OFF, train(events))
    listed = rank_offers(history, models, k=N_ITEMS)
    later = events.between(CUT_OFF + DAY // 2, CUT_OFF + DAY * 3 // 2)
    met = set(zip(later.user_id.tolist(), later.item_code.tolist(), strict=True))
    rows, places = np.nonzero(listed.codes >= 0)
    pairs = zip(history.user_ids[rows].tolist(), listed.codes[rows, places].tolist(), strict=True)
    came_true = np.mean([pair in met for pair in pairs])
    assert listed.probabilities[rows, places].mean() == pytest.approx(came_true, rel=0.2)


def test_what_a_user_did_does_not_calibrate_what_is_judged_of_that_user() -> None:
    events, last = offer_events(), plan().calibrate
    assert last is not None
    ranker, judged = train_and_judge(
        events, attributes=ATTRIBUTES, plan=plan(), retrieval=RETRIEVAL, params=OFFERS, seed=1, threads=1
    )
    later = labelled_pairs(
        events,
        last,
        attributes=ATTRIBUTES,
        retrieval=RETRIEVAL,
        params=OFFERS,
        names=ranker.feature_names,
        negative_share=1.0,
        only_active=False,
        seed=1,
    )
    assert judged is not None
    np.testing.assert_array_equal(judged.fold.user_ids, later.user_ids)
    np.testing.assert_array_equal(judged.own, told_by_halves(ranker, later, ranker.margins(later.rows)))
    first = is_in_first(later.user_ids)
    otherwise = told_by_halves(ranker, replace(later, labels=later.labels ^ first), ranker.margins(later.rows))
    np.testing.assert_array_equal(otherwise[first], judged.own[first])
    assert (otherwise[~first] != judged.own[~first]).all()
    observed = later.labels.mean()
    as_fitted, as_judged = (np.mean(1 / (1 + np.exp(-odds))) for odds in (later.judged_by(ranker), judged.own))
    assert as_fitted == pytest.approx(observed, rel=0.01)  # which is why it is not judged so
    assert abs(as_judged / observed - 1) < 0.2


def test_the_features_of_listed_pairs_explain_them(
    night: tuple[UserHistory, OfferModels], ranked: RankedOffers
) -> None:
    ranker = night[1].ranker
    assert ranked.features.shape == (ranked.codes.size, len(ranker.feature_names))
    again = ranker.probabilities(ranker.margins(ranked.features))
    np.testing.assert_allclose(again, ranked.probabilities.ravel(), rtol=1e-6)
    assert not len(rank_offers(night[0], night[1], k=8, explain=False).features)


def test_models_come_back_from_their_folder_and_list_the_same(
    night: tuple[UserHistory, OfferModels], ranked: RankedOffers, tmp_path: Path
) -> None:
    history, models = night
    save_retrieval(str(tmp_path), models.retrieval, item_ids=models.item_ids, items=models.items)
    save_offer_ranker(str(tmp_path), models.ranker)
    loaded = load_offer_models(str(tmp_path))
    assert loaded.item_ids.tolist() == models.item_ids.tolist()
    again = rank_offers(history, loaded, k=8)
    np.testing.assert_array_equal(again.codes, ranked.codes)
    np.testing.assert_array_equal(again.probabilities, ranked.probabilities)


def test_a_model_file_that_was_changed_is_refused(night: tuple[UserHistory, OfferModels], tmp_path: Path) -> None:
    save_offer_ranker(str(tmp_path), night[1].ranker)
    save_retrieval(str(tmp_path), night[1].retrieval, item_ids=night[1].item_ids, items=night[1].items)
    (tmp_path / "offers" / "booster-0.ubj").write_bytes(b"something else")
    with pytest.raises(InputError, match=r"booster-0\.ubj"):
        load_offer_models(str(tmp_path))
    with pytest.raises(InputError, match="no models"):
        load_offer_models(str(tmp_path / "elsewhere"))


def test_the_same_events_and_seed_give_the_same_files(tmp_path: Path) -> None:
    one = save_offer_ranker(str(tmp_path / "one"), train(offer_events()))
    other = save_offer_ranker(str(tmp_path / "other"), train(shuffled(offer_events())))
    assert one == other
    assert one != save_offer_ranker(str(tmp_path / "seed"), train(offer_events(), seed=2))


def test_nothing_after_the_cut_off_is_learnt_from(tmp_path: Path) -> None:
    past = offer_events(days=4)
    draws = np.random.default_rng(9)
    n = 500
    later = Events(
        user_id=draws.integers(1, 90, n),
        item_code=draws.integers(0, N_ITEMS, n).astype(np.int32),
        action=draws.integers(0, 8, n).astype(np.int8),
        time=draws.integers(CUT_OFF, CUT_OFF + DAY, n),
        weight=np.ones(n, np.float32),
    )
    together = Events(*(np.concatenate([getattr(past, name), getattr(later, name)]) for name in vars(past)))
    left, right = (
        save_offer_ranker(str(tmp_path / name), train(some)) for name, some in (("past", past), ("all", together))
    )
    assert left == right


def test_a_ranker_of_clicks_learns_from_clicks_only() -> None:
    events = offer_events()
    clicks = train(events, params=OFFERS.model_copy(update={"target": "click"})).facts["training_positives"]
    everything = train(events).facts["training_positives"]
    assert 0 < clicks < everything
    without = events.take(~members("click")[events.action])
    with pytest.raises(InputError, match="nothing to learn from"):
        train(without, params=OFFERS.model_copy(update={"target": "click"}))


def test_a_short_history_is_refused_with_the_days_that_are_missing() -> None:
    with pytest.raises(InputError, match=r"2\.0 days too short"):
        night_plan(first=0, cut_off=DAY, horizon_hours=24, gap_hours=12)


def test_newest_pairs_made_anew_are_what_a_training_is_judged_by_and_factors_of_before_tell_them_apart_too() -> None:
    events = offer_events()
    ranker, judged = train_and_judge(
        events, attributes=ATTRIBUTES, plan=plan(), retrieval=RETRIEVAL, params=OFFERS, seed=1, threads=1
    )
    assert judged is not None
    look = partial(
        labelled_pairs,
        events,
        newest_cut(cut_off=CUT_OFF, horizon_hours=24, gap_hours=12),
        attributes=ATTRIBUTES,
        retrieval=RETRIEVAL,
        params=OFFERS,
        names=ranker.feature_names,
        negative_share=1.0,
        only_active=False,
        seed=1,
    )
    again = look()
    np.testing.assert_array_equal(again.fold.labels, judged.fold.labels)
    np.testing.assert_array_equal(told_by_halves(ranker, again, ranker.margins(again.rows)), judged.own)
    _, before = models_at(events, CUT_OFF - 2 * DAY, ranker)
    kept = look(factors=before.retrieval.item_factors)
    assert set(kept.user_ids) == set(again.user_ids)
    odds, labels = kept.judged_by(ranker).astype(np.float32), kept.labels.astype(np.float32)
    assert auc(odds, labels) > 0.6


def test_windows_end_at_the_cut_off_and_calibration_comes_later() -> None:
    made = plan()
    assert made.calibrate == Cut(CUT_OFF - DAY * 3 // 2, CUT_OFF - DAY, CUT_OFF)
    assert made.train == (Cut(CUT_OFF - DAY * 5 // 2, CUT_OFF - 2 * DAY, CUT_OFF - DAY),)
    assert made.lookback_hours == CUT_OFF / MICROSECONDS_PER_HOUR - 60


def test_features_that_grow_with_history_are_left_out_where_training_looks_back_less() -> None:
    assert usable_features(lookback_hours=600, full_hours=672) == FEATURES
    few = usable_features(lookback_hours=12, full_hours=36)
    assert {"item_pop_view_6h", "item_trend_3h_6h", "pair_view_24h", "item_last_age", "pair_count"} <= set(few)
    assert not {"item_pop_view_24h", "item_trend_6h_24h", "user_count", "item_users_share", "user_view_168h"} & set(few)
