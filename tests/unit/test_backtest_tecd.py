"""The backtest on T-ECD's layout: what it reports, and that nothing after the cut reaches a list."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_contracts.errors import InputError
from data_contracts.vocabulary import Domain
from spark_jobs.candidates.params import RetrievalParams
from spark_jobs.evaluation.backtest import BacktestParams, backtest, backtest_plan, backtest_tecd, night_lists
from spark_jobs.evaluation.figures import Dealt, share_met, slice_figures, warm_items
from spark_jobs.evaluation.metrics import Relevant
from spark_jobs.evaluation.probabilities import Cases, probability_figures
from spark_jobs.evaluation.slices import SLICES, Panel, segments_at, slices_of
from spark_jobs.evaluation.tecd_log import MICROSECONDS_PER_DAY, Clusters, OfferLog, read_tecd
from spark_jobs.features.history import MICROSECONDS_PER_HOUR, Events, build_history
from spark_jobs.features.item_features import ItemAttributes
from spark_jobs.ranking.boosting import BoosterParams
from spark_jobs.ranking.offers import OfferParams
from spark_jobs.ranking.offers_training import Cut
from tests.unit.offer_events import DAY, N_ITEMS, offer_events

TEST_DAY = 3
RETRIEVAL = RetrievalParams(als_factors=8, als_regularization=1.0, als_min_users=1, popular=30)
OFFERS = OfferParams(
    candidates={"repeat": 20, "item_item": 20, "als": 10, "popular": 20}, booster=BoosterParams(rounds=10, depth=3)
)
PROBABILITIES = {"auc", "log_loss", "ece", "predicted_over_observed"}
SOURCES = {"popular", "repeat", "als", "itemcf", "blend", "fused", "ranked"}
REAL = Path(__file__).parents[3] / "shared" / "data" / "tecd"


def params(seeds: tuple[int, ...] = (1,)) -> BacktestParams:
    start = TEST_DAY * DAY
    return BacktestParams(
        cut=start - DAY // 2,
        start=start,
        end=start + DAY,
        k=5,
        gap_hours=12.0,
        seeds=seeds,
        threads=1,
        retrieval=RETRIEVAL,
        offers=OFFERS,
    )


def log(events: Events) -> OfferLog:
    item_ids = np.array([f"i{code:02}" for code in range(N_ITEMS + 1)])
    return OfferLog(events, item_ids, n_items=N_ITEMS, attributes=ItemAttributes.unknown(N_ITEMS))


def written(folder: Path, *, days: int = 4, offset_unit: str = "us") -> str:
    """The events of `offer_events` as day files, with a missing null and a repetition here and there."""
    events = offer_events(days=days)
    target = folder / "marketplace" / "events"
    target.mkdir(parents=True)
    for day in range(days):
        some = events.between(day * DAY, (day + 1) * DAY)
        rows = pd.DataFrame(
            {
                "timestamp": pd.to_timedelta(some.time, unit="us").astype(f"timedelta64[{offset_unit}]"),
                "user_id": some.user_id.astype(np.uint64),
                "item_id": [f"nfmcg_{code}" for code in some.item_code],
                "subdomain": "u2i",
                "action_type": np.where(some.action == 0, "view", "click"),
                "os": "ios",
            }
        )
        pd.concat([rows, rows.head(3)]).to_parquet(target / f"{day:05}.pq")
    return str(folder)


def test_the_report_has_every_label_slice_source_and_metric() -> None:
    report = backtest(log(offer_events()), params())
    figures = json.loads(report.to_json())
    assert set(figures) == {"any", "click"}
    for slices in figures.values():
        by_length = {"short", "middle", "long"}
        assert set(SLICES) == {"all", "history", "tail", "new", "cold", *by_length}
        assert set(slices) == {*SLICES, "segment 47"}
        for name, sources in slices.items():
            assert {*SOURCES, "ranked-blend", "ranked-popular", "fused-itemcf", "ranked dealt"} <= set(sources)
            for source in SOURCES:
                of_lists = {"precision@5", "recall@5", "ndcg@5", "map@5", "hit_rate@5", "simulated_ctr@5", "novelty@5"}
                told = PROBABILITIES if source == "ranked" and sources["ranked"]["coverage@5"]["value"] else set()
                assert set(sources[source]) == {*of_lists, "coverage@5", *told}, name
    ndcg = figures["any"]["history"]["ranked"]["ndcg@5"]
    assert 0 < ndcg["low"] <= ndcg["value"] <= ndcg["high"] < 1
    assert len(report.rows()) > 100


def test_taste_is_found_and_dealing_lists_to_others_loses_it() -> None:
    sources = backtest(log(offer_events()), params()).figures["any"]["history"]
    assert sources["ranked"]["ndcg@5"].value > sources["popular"]["ndcg@5"].value
    assert sources["ranked dealt"]["ndcg@5"].value < sources["ranked"]["ndcg@5"].value - 0.1
    assert sources["popular dealt"]["ndcg@5"] == sources["popular"]["ndcg@5"]


def test_several_seeds_are_reported_beside_their_mean() -> None:
    ranked = backtest(log(offer_events()), params(seeds=(1, 2))).figures["any"]["history"]["ranked"]
    for metric in ("ndcg@5", "auc", "log_loss"):
        assert len(set(ranked[metric].seeds)) == 2
        assert ranked[metric].value == pytest.approx(np.mean(ranked[metric].seeds))
        assert ranked[metric].low < ranked[metric].value < ranked[metric].high


def test_probabilities_are_judged_on_all_listed_pairs_of_a_slice_and_novelty_by_who_met_an_item() -> None:
    history = build_history(offer_events(), as_of=TEST_DAY * DAY)
    panel = Panel(history, head=np.arange(5, dtype=np.int32), n_items=N_ITEMS)
    draws = np.random.default_rng(2)
    codes = np.array([draws.permutation(N_ITEMS)[:8] for _ in range(len(history))], np.int32)
    codes[:, 6:] = -1
    probability = draws.random(codes.shape).astype(np.float32)
    is_met = draws.random((len(history), N_ITEMS)) < 0.3
    is_met[:20] = False
    relevant = Relevant.of(*np.nonzero(is_met), n_users=len(history), n_items=N_ITEMS)
    share = share_met(history, n_items=N_ITEMS)
    dealt = [Dealt(dict.fromkeys(SOURCES, codes), probability)]
    found = slice_figures(SLICES["tail"], panel, relevant, dealt, share=share, k=3)["ranked"]
    pairs = [
        (user, codes[user, place], probability[user, place])
        for user in range(len(history))
        for place in range(6)
        if codes[user, place] >= 5
    ]
    happened = np.array([is_met[user, code] for user, code, _ in pairs])
    cases = Cases(np.array([user for user, *_ in pairs]), np.array([p for *_, p in pairs], np.float64), happened)
    expected = probability_figures(cases)
    assert {name: found[name].value for name in PROBABILITIES} == pytest.approx(
        {name: expected[name].value for name in PROBABILITIES}
    )
    assert found["auc"].users == len({user for user, *_ in pairs}) > found["ndcg@3"].users
    met_by = [(np.sum(history.item_code == code) + 0.5) / (len(history) + 1) for code in range(N_ITEMS)]
    novel = [
        np.mean([-np.log2(met_by[code]) for code in codes[user, :6][codes[user, :6] >= 5][:3]])
        for user in np.flatnonzero(is_met[:, 5:].any(axis=1))
    ]
    assert found["novelty@3"].value == pytest.approx(np.mean(novel))


def test_segments_are_those_of_a_night_that_knows_a_cluster_or_how_active_somebody_was() -> None:
    """Users 1 to 40 met items once to 40 times; every tenth has a cluster, and nobody has met user 99."""
    user = np.repeat(np.arange(1, 41), np.arange(1, 41))
    zeros = np.zeros(len(user), np.int64)
    item = (np.arange(len(user)) % N_ITEMS).astype(np.int32)
    events = Events(user, item, zeros.astype(np.int8), zeros, np.ones(len(user), np.float32))
    history = build_history(events, as_of=1).for_users(np.append(np.arange(1, 41), 99))
    clusters = Clusters(np.arange(10, 50, 10), np.array([4, 21, 0, 22], np.int16))
    told = segments_at(history, clusters)
    assert told[[0, 1, 2, 13, 14, 38, 40]].tolist() == [46, 46, 47, 47, 48, 48, 0]
    assert told[[9, 19, 29, 39]].tolist() == [28, 45, 24, 48]  # 22 is no cluster
    panel = Panel(history, head=np.empty(0, np.int32), n_items=N_ITEMS, segment=told)
    assert set(slices_of(panel)) == set(SLICES)
    many = Panel(history, head=panel.head, n_items=N_ITEMS, segment=np.where(told >= 46, 46, told).astype(np.int16))
    assert set(slices_of(many)) == {*SLICES, "segment 46"}
    np.testing.assert_array_equal(slices_of(many)["segment 46"].users(many), told >= 46)


def test_changing_everything_after_the_cut_changes_no_list() -> None:
    known, wanted = offer_events(), params()
    draws = np.random.default_rng(5)
    is_later = known.time >= wanted.cut
    n = int(is_later.sum())
    changed = Events(*(getattr(known, name).copy() for name in vars(known)))
    changed.item_code[is_later] = draws.integers(0, N_ITEMS + 1, n)
    changed.action[is_later] = draws.integers(0, 8, n)
    changed.user_id[is_later] = draws.permutation(changed.user_id[is_later])
    changed.time[is_later] = draws.integers(wanted.cut, wanted.end, n)

    def lists(events: Events) -> dict[str, Dealt]:
        past = events.before(wanted.cut)
        history = build_history(events, as_of=wanted.cut)
        panel = Panel(history, head=history.item_code[:1], n_items=N_ITEMS + 1)
        return night_lists(log(events), past, history, panel, seed=1, params=wanted)

    for (label, before), after in zip(lists(known).items(), lists(changed).values(), strict=True):
        for source, codes in before.lists.items():
            np.testing.assert_array_equal(codes, after.lists[source], err_msg=f"{label} {source}")
        np.testing.assert_array_equal(before.probability, after.probability)


def test_the_new_slice_holds_no_seen_item_and_the_tail_no_popular_one() -> None:
    history = build_history(offer_events(), as_of=TEST_DAY * DAY)
    panel = Panel(history, head=np.array([0, 20], np.int32), n_items=N_ITEMS)
    everything = np.tile(np.arange(N_ITEMS, dtype=np.int32), (len(history), 1))
    assert not np.isin(SLICES["tail"].lists(panel, everything), [0, 20]).any()
    new = SLICES["new"].lists(panel, everything)
    assert not panel.seen.hits(new).any()
    assert ((new >= 0).sum(axis=1) == N_ITEMS - history.sizes).all()


def test_the_cold_slice_holds_what_few_met() -> None:
    history = build_history(offer_events(), as_of=TEST_DAY * DAY)
    users = np.bincount(history.item_code, minlength=N_ITEMS)
    panel = Panel(history, head=np.empty(0, np.int32), n_items=N_ITEMS, warm=warm_items(history, min_users=25))
    everything = np.tile(np.arange(N_ITEMS, dtype=np.int32), (len(history), 1))
    left = SLICES["cold"].lists(panel, everything)
    assert set(left[left >= 0].tolist()) == set(np.flatnonzero(users < 25).tolist())
    assert 0 < len(panel.warm) < N_ITEMS


def test_slices_by_length_of_history_part_the_users_who_have_one() -> None:
    rows = np.repeat(np.arange(1, 31), np.arange(1, 31))
    zeros = np.zeros(len(rows), np.int64)
    item = (np.arange(len(rows)) - np.searchsorted(rows, rows)).astype(np.int32)
    events = Events(rows, item, zeros.astype(np.int8), zeros, np.ones(len(rows), np.float32))
    history = build_history(events, as_of=DAY).for_users(np.arange(31))
    panel = Panel(history, head=np.empty(0, np.int32), n_items=30)
    users = {
        name: np.flatnonzero(SLICES[name].users(panel)).tolist() for name in ("history", "short", "middle", "long")
    }
    assert (users["short"], users["long"]) == ([1, 2, 3, 4], list(range(20, 31)))
    assert users["short"] + users["middle"] + users["long"] == users["history"] == list(range(1, 31))


def test_training_looks_from_the_same_hour_a_day_earlier() -> None:
    past = offer_events(days=2)
    cut = 36 * MICROSECONDS_PER_HOUR
    assert backtest_plan(past, cut=cut, gap_hours=12).train == (Cut(DAY // 2, DAY, cut), Cut(DAY * 3 // 4, DAY, cut))
    short = backtest_plan(past, cut=DAY // 2, gap_hours=12).train[0]
    assert len(backtest_plan(past, cut=DAY * 3 // 2, gap_hours=0).train) == 1  # nothing to look at twice
    assert 0 < short.as_of < short.start < short.end == DAY // 2


@pytest.mark.parametrize("unit", ["us", "ns"])
def test_day_files_are_read_once_each_and_coded_by_what_was_known(unit: str, tmp_path: Path) -> None:
    cut = TEST_DAY * MICROSECONDS_PER_DAY - MICROSECONDS_PER_DAY // 2
    found = read_tecd(written(tmp_path, offset_unit=unit), domains=[Domain.MARKETPLACE], test_day=TEST_DAY, cut=cut)
    distinct = offer_events().take(np.lexsort((offer_events().time,)))
    assert len(found.events) == len(distinct)
    assert found.events.item_code[found.events.time < cut].max() < found.n_items
    assert found.item_ids[: found.n_items].tolist() == sorted(found.item_ids[: found.n_items].tolist())
    assert not len(found.clusters.user_ids)


def test_clusters_are_read_where_users_were_delivered(tmp_path: Path) -> None:
    folder = written(tmp_path)
    people = pd.DataFrame({"user_id": [9, 2, 5, 2], "socdem_cluster": [3, 21, None, 4], "region": [1, 1, 1, 1]})
    people.astype({"user_id": "uint64", "socdem_cluster": "UInt8", "region": "uint8"}).to_parquet(f"{folder}/users.pq")
    cut = TEST_DAY * MICROSECONDS_PER_DAY - MICROSECONDS_PER_DAY // 2
    found = read_tecd(folder, domains=[Domain.MARKETPLACE], test_day=TEST_DAY, cut=cut)
    assert found.clusters.of(np.array([1, 2, 5, 9, 10])).tolist() == [-1, 21, -1, 3, -1]


def test_a_day_that_is_not_there_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path, days=2)
    with pytest.raises(InputError, match="no events of day 7"):
        backtest_tecd(folder, domains=[Domain.MARKETPLACE], test_day=7)
    with pytest.raises(InputError, match="no such folder"):
        backtest_tecd(str(tmp_path / "nowhere"), domains=[Domain.MARKETPLACE], test_day=1)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the real T-ECD days are not in {REAL}")
def test_real_days_are_read_by_the_same_code() -> None:
    cut = 1295 * MICROSECONDS_PER_DAY - MICROSECONDS_PER_DAY // 2
    found = read_tecd(str(REAL), domains=[Domain.MARKETPLACE], test_day=1295, cut=cut)
    assert len(found.events) == 869_913
    assert len(np.unique(found.events.user_id)) == 69_669
