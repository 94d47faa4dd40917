"""The backtest on T-ECD: what a night at an earlier cut would have recommended, held against the test day.

Everything (histories, item features, models, training labels) is made from events before the cut, by the code the
night runs; events after it serve only as the test. Sources as the issue names them: popular, repeat, als, itemcf; their
fusions, equal (`blend`) and by length of history (`fused`); and `ranked`. For the label "click", popular counts clicks
and ranked learns clicks.

The probabilities of `ranked` are judged as its boosters tell them: a history of a few days has none left to calibrate
on, as the night does. They are about the training windows, of users active in them, and those may be shorter than the
test day.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_contracts.vocabulary import Domain
from spark_jobs.candidates.base import RetrievalModel, UserBlock
from spark_jobs.candidates.blend import blend, fused
from spark_jobs.candidates.params import RetrievalParams
from spark_jobs.candidates.popular import train_popular
from spark_jobs.candidates.retrieval import fit_retrieval, user_block
from spark_jobs.candidates.sources import SOURCES
from spark_jobs.evaluation.figures import (
    RANKED,
    Dealt,
    head_items,
    relevant_items,
    share_met,
    slice_figures,
    warm_items,
)
from spark_jobs.evaluation.report import BacktestReport
from spark_jobs.evaluation.slices import Panel, segments_at, slices_of
from spark_jobs.evaluation.tecd_log import MICROSECONDS_PER_DAY, OfferLog, read_tecd
from spark_jobs.features.history import (
    MICROSECONDS_PER_HOUR,
    Events,
    Ints,
    UserHistory,
    build_history,
    members,
)
from spark_jobs.features.item_features import item_features, item_sums
from spark_jobs.ranking.offers import OfferModels, OfferParams, rank_offers
from spark_jobs.ranking.offers_training import Cut, Plan, train_offer_ranker

LABELS = ("any", "click")
NAMES = {"popular": "popular", "repeat": "repeat", "als": "als", "item_item": "itemcf"}
# Long enough that a list is still full when its head or all seen items are taken out.
_LIST_LENGTH = 300
_BLENDED = 120
_DAY = 24 * MICROSECONDS_PER_HOUR
_MOST_CUTS = 3
# A training as-of looks back on half a day, which may begin a little late.
_LEAST_HISTORY = 11 * MICROSECONDS_PER_HOUR


@dataclass(frozen=True)
class BacktestParams:
    """`cut` and the test window, microseconds on the log's clock. One report averages over `seeds`."""

    cut: int
    start: int
    end: int
    k: int
    gap_hours: float
    seeds: tuple[int, ...]
    threads: int
    retrieval: RetrievalParams
    offers: OfferParams


def backtest_tecd(
    folder: str,
    *,
    domains: Sequence[Domain],
    test_day: int,
    gap_hours: float = 12.0,
    k: int = 10,
    seeds: Sequence[int] = (7,),
    threads: int = 2,
    retrieval: RetrievalParams | None = None,
    offers: OfferParams | None = None,
) -> BacktestReport:
    """History up to `gap_hours` before the test day, test on its interactions. Raises InputError."""
    params = tecd_params(
        test_day=test_day, gap_hours=gap_hours, k=k, seeds=seeds, threads=threads, retrieval=retrieval, offers=offers
    )
    return backtest(read_tecd(folder, domains=domains, test_day=test_day, cut=params.cut), params)


def tecd_params(
    *,
    test_day: int,
    gap_hours: float = 12.0,
    k: int = 10,
    seeds: Sequence[int] = (7,),
    threads: int = 2,
    retrieval: RetrievalParams | None = None,
    offers: OfferParams | None = None,
) -> BacktestParams:
    """Of a test on a day of T-ECD."""
    start = test_day * MICROSECONDS_PER_DAY
    cut = start - round(gap_hours * MICROSECONDS_PER_HOUR)
    return BacktestParams(
        cut=cut,
        start=start,
        end=start + MICROSECONDS_PER_DAY,
        k=k,
        gap_hours=gap_hours,
        seeds=tuple(seeds),
        threads=threads,
        retrieval=retrieval or RetrievalParams(),
        offers=offers or OfferParams(),
    )


def backtest(log: OfferLog, params: BacktestParams) -> BacktestReport:
    """The report on a log that covers history and test."""
    test = log.events.between(params.start, params.end)
    users = np.unique(test.user_id)
    past = log.events.before(params.cut)
    history = build_history(past, as_of=params.cut)
    own = history.for_users(users)
    panel = Panel(
        own,
        head=head_items(history),
        n_items=len(log.item_ids),
        warm=warm_items(history, min_users=params.retrieval.als_min_users),
        segment=segments_at(own, log.clusters),
    )
    share = share_met(history, n_items=log.n_items)
    nights = [night_lists(log, past, history, panel, seed=seed, params=params) for seed in params.seeds]
    figures = {}
    for label in LABELS:
        relevant = relevant_items(test, users, label=label, n_items=len(log.item_ids))
        dealt = [night[label] for night in nights]
        figures[label] = {
            name: slice_figures(chosen, panel, relevant, dealt, share=share, k=params.k)
            for name, chosen in slices_of(panel).items()
        }
    return BacktestReport(figures)


def night_lists(
    log: OfferLog,
    past: Events,
    history: UserHistory,
    panel: Panel,
    *,
    seed: int,
    params: BacktestParams,
    labels: Sequence[str] = LABELS,
) -> dict[str, Dealt]:
    """By label, what every source has for the panel, lists of `_LIST_LENGTH`. Looks at `past` only."""
    fitted = fit_retrieval(
        history, n_items=log.n_items, params=params.retrieval, seed=seed, content=log.content, threads=params.threads
    )
    block = user_block(panel.history, fitted)
    found = {NAMES[name]: source(block, fitted, _LIST_LENGTH) for name, source in SOURCES.items()}
    lists = {name: candidates.codes for name, candidates in found.items()}
    first = {name: found[NAMES[name]].first(_BLENDED) for name in SOURCES}
    lists["blend"] = blend(list(first.values()), _LIST_LENGTH).codes
    lists["fused"] = fused(first, panel.history.sizes, _LIST_LENGTH).codes
    items = item_features(item_sums(history, n_items=log.n_items), attributes=log.attributes)
    by_label: dict[str, Dealt] = {}
    for label in labels:
        ranker = train_offer_ranker(
            past,
            attributes=log.attributes,
            content=log.content,
            plan=backtest_plan(past, cut=params.cut, gap_hours=params.gap_hours),
            retrieval=params.retrieval,
            params=params.offers.model_copy(update={"target": label}),
            seed=seed,
            threads=params.threads,
        )
        models = OfferModels(log.item_ids[: log.n_items], items, fitted, ranker)
        ranked = rank_offers(panel.history, models, k=_LIST_LENGTH, explain=False)
        popular = popular_of(label, past, block, fitted, cut=params.cut)
        by_label[label] = Dealt({**lists, "popular": popular, RANKED: ranked.codes}, ranked.probabilities)
    return by_label


def popular_of(label: str, past: Events, block: UserBlock, fitted: RetrievalModel, *, cut: int) -> Ints:
    """Popularity as the label counts it, the same list for all users of a block."""
    counted = past if label == "any" else past.take(members(label)[past.action])
    history = build_history(counted, as_of=cut)
    popular, _ = train_popular(history, segment=np.zeros(len(history), dtype=np.int16), params=fitted.params)
    return np.repeat(popular[:1], len(block), axis=0)


def backtest_plan(past: Events, *, cut: int, gap_hours: float) -> Plan:
    """Train at the same time of day as the cut, whole days earlier, on the day that follows the gap.

    Behaviour has a daily rhythm, so an as-of at another hour teaches another task. A history of less than a day and a
    half has no such as-of: there, the first third is history, the second the gap, the last the labels. Each window is
    looked at twice, also from half-way through its gap, so that trees lean less on how long a history happens to be
    (day 1295: NDCG@10 .2957 after .2926, and half the spread between seeds).
    """
    first = int(past.time.min())
    gap = round(gap_hours * MICROSECONDS_PER_HOUR)
    nearest = gap // _DAY + 1
    as_ofs = [cut - days * _DAY for days in range(nearest, nearest + _MOST_CUTS)]
    cuts = [
        Cut(as_of, as_of + gap, min(as_of + gap + _DAY, cut)) for as_of in as_ofs if as_of - first >= _LEAST_HISTORY
    ]
    if not cuts:
        third = (cut - first) // 3
        cuts = [Cut(first + third, first + 2 * third, cut)]
    later = [Cut((one.as_of + one.start) // 2, one.start, one.end) for one in cuts if gap]
    return Plan(first=first, cut_off=cut, train=(*cuts, *later), calibrate=None)
