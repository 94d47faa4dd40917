"""Training of the offer ranker: when it looks, what it learns from, and how it is calibrated. Pure.

A training cut is a miniature of the night: everything (history, item features, retrieval models) is made from events
before its as-of; labels are what happened in its window, after a gap. No window reaches beyond the night's cut-off.

The newest window calibrates the ranker, and is what it is judged by beside another. Its boosters have not seen this
window. To spend one more on its calibrator would leave a day's history too short, so the calibrator is cross-fitted
instead: what is judged of each half of the users is calibrated on the other half.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from data_contracts.errors import InputError
from spark_jobs.candidates.content import ItemContent
from spark_jobs.candidates.params import RetrievalParams
from spark_jobs.candidates.retrieval import fit_retrieval, user_block
from spark_jobs.features.history import MICROSECONDS_PER_HOUR, Events, Floats, Longs, build_history, members
from spark_jobs.features.item_features import ItemAttributes, item_features, item_sums
from spark_jobs.ranking.boosting import booster_bytes, booster_from, train_booster, uniform
from spark_jobs.ranking.calibration import Platt, fit_platt
from spark_jobs.ranking.newest import F64, Fold, Judged, is_in_first, log_odds_of
from spark_jobs.ranking.offers import OfferParams, OfferRanker, Prior
from spark_jobs.ranking.offers_features import FUSION, feature_matrix, union, usable_features

# A training as-of needs at least this much to look back on.
MIN_HISTORY_HOURS = 12.0
# A first day that begins a little late is a whole day.
_TOLERATED_DAYS = 0.05
_USERS_AT_ONCE = 2048


@dataclass(frozen=True)
class Cut:
    """An as-of with the window its labels come from, microseconds since 1970 UTC: as_of ≤ start < end."""

    as_of: int
    start: int
    end: int


@dataclass(frozen=True)
class Plan:
    """Cuts to train on, and a later one to calibrate on (none: margins are only set right for sampling).

    first and cut_off: from where to where the night can look, microseconds since 1970 UTC.
    """

    first: int
    cut_off: int
    train: tuple[Cut, ...]
    calibrate: Cut | None

    @property
    def lookback_hours(self) -> float:
        """What the earliest training as-of can look back on."""
        return (min(cut.as_of for cut in self.train) - self.first) / MICROSECONDS_PER_HOUR

    @property
    def full_hours(self) -> float:
        return (self.cut_off - self.first) / MICROSECONDS_PER_HOUR


@dataclass(frozen=True)
class LabelledPairs:
    """rows float32 [P, F], labels bool [P], user_ids int64 [P]."""

    rows: Floats
    labels: npt.NDArray[np.bool_]
    user_ids: Longs

    @property
    def fold(self) -> Fold:
        """All of one family."""
        return Fold(self.user_ids, self.labels, np.zeros(len(self.labels), np.int64), ("offers",))

    def judged_by(self, ranker: OfferRanker) -> F64:
        """Log odds [P] that a ranker of the same features gives."""
        return log_odds_of(ranker.probabilities(ranker.margins(self.rows)))


def night_plan(*, first: int, cut_off: int, horizon_hours: float, gap_hours: float) -> Plan:
    """Calibrate on the last horizon before the cut-off, train on the one before it. Raises InputError.

    first: the earliest moment that histories reach back to.
    """
    horizon = round(horizon_hours * MICROSECONDS_PER_HOUR)
    last = newest_cut(cut_off=cut_off, horizon_hours=horizon_hours, gap_hours=gap_hours)
    earlier = Cut(last.as_of - horizon, last.start - horizon, last.start)
    told = f"train and calibrate on a horizon of {horizon_hours / 24:g} days with a gap of {gap_hours:g} h"
    require_history(earlier, first=first, told=told)
    return Plan(first=first, cut_off=cut_off, train=(earlier,), calibrate=last)


def newest_cut(*, cut_off: int, horizon_hours: float, gap_hours: float) -> Cut:
    """The last whose labels are known at the cut-off."""
    start = cut_off - round(horizon_hours * MICROSECONDS_PER_HOUR)
    return Cut(start - round(gap_hours * MICROSECONDS_PER_HOUR), start, cut_off)


def require_history(cut: Cut, *, first: int, told: str) -> None:
    """Raises InputError where histories, which begin at `first`, are too short to look back from the cut; told: for
    what.
    """
    hour = MICROSECONDS_PER_HOUR
    missing = (first + MIN_HISTORY_HOURS * hour - cut.as_of) / (24 * hour)
    if missing > _TOLERATED_DAYS:
        raise InputError(
            f"offers: history is {missing:.1f} days too short to {told}: deliver earlier days or set a shorter horizon"
        )


def train_offer_ranker(
    events: Events,
    *,
    attributes: ItemAttributes,
    plan: Plan,
    retrieval: RetrievalParams,
    params: OfferParams,
    seed: int,
    threads: int,
    content: ItemContent | None = None,
) -> OfferRanker:
    """Learn from the events of a sample of users. Raises InputError when no label is positive."""
    ranker, _ = train_and_judge(
        events,
        attributes=attributes,
        plan=plan,
        retrieval=retrieval,
        params=params,
        seed=seed,
        threads=threads,
        content=content,
    )
    return ranker


def train_and_judge(
    events: Events,
    *,
    attributes: ItemAttributes,
    plan: Plan,
    retrieval: RetrievalParams,
    params: OfferParams,
    seed: int,
    threads: int,
    content: ItemContent | None = None,
    beside: OfferRanker | None = None,
) -> tuple[OfferRanker, Judged | None]:
    """A ranker, and what it and the one `beside` it say of the newest pairs, if it is calibrated on any.

    Both are asked about users who have not calibrated them: the ranker by halves, see `told_by_halves`.
    """
    names = usable_features(lookback_hours=plan.lookback_hours, full_hours=plan.full_hours)
    look = partial(
        labelled_pairs,
        events,
        attributes=attributes,
        content=content,
        retrieval=retrieval,
        params=params,
        names=names,
        seed=seed,
        threads=threads,
    )
    cases = _joined([look(cut, negative_share=params.negative_share, only_active=True) for cut in plan.train])
    if not cases.labels.any():
        raise InputError("offers: nobody met a candidate offer again in the training window: nothing to learn from")
    labels = cases.labels.astype(np.float32)
    fusion = cases.rows[:, names.index(FUSION)]
    line = fit_platt(fusion, labels)
    prior = Prior(line.slope, line.intercept, float(fusion.mean()))
    train = partial(
        train_booster,
        cases.rows,
        labels,
        names=names,
        params=params.booster,
        threads=threads,
        start=prior.margins(fusion),
    )
    boosters = (train(seed=seed + n) for n in range(params.models))
    positives = int(cases.labels.sum())
    ranker = OfferRanker(
        feature_names=names,
        candidates=dict(params.candidates),
        prior=prior,
        boosters=tuple(booster_from(booster_bytes(booster), threads=threads) for booster in boosters),
        # Undoes the sampling of negatives, until calibration knows better.
        calibrator=Platt(1.0, float(np.log(params.negative_share)), positives),
        facts={"training_rows": float(len(labels)), "training_positives": float(positives)},
    )
    if plan.calibrate is None:
        return ranker, None
    newest = partial(look, plan.calibrate, negative_share=1.0, only_active=False)
    later = newest()
    margins = ranker.margins(later.rows)
    judged = Judged(later.fold, own=told_by_halves(ranker, later, margins))
    if beside is not None:
        # What may be looked back on grows, and usable features with it: the pairs are the same.
        theirs = later if beside.feature_names == names else newest(names=beside.feature_names)
        judged = replace(judged, beside=theirs.judged_by(beside))
    return calibrated(ranker, later, margins), judged


def calibrated(ranker: OfferRanker, later: LabelledPairs, margins: Floats) -> OfferRanker:
    """The ranker with probabilities that hold on later cases, to which it gives `margins`, float32 [P]."""
    labels = later.labels.astype(np.float32)
    facts = {**ranker.facts, "calibration_rows": float(len(labels)), "calibration_positives": float(labels.sum())}
    return replace(ranker, calibrator=fit_platt(margins, labels), facts=facts)


def told_by_halves(ranker: OfferRanker, later: LabelledPairs, margins: Floats) -> F64:
    """Log odds [P] of later cases, to which the ranker gives `margins`, float32 [P]: each user's by a calibrator that
    the other half of the users has fitted.

    Cross-fitting, as in Chernozhukov and others, "Double/debiased machine learning", 2018. The calibrator that is kept
    is fitted on both halves, so it is judged by ones that know half as much as it does.
    """
    labels = later.labels.astype(np.float32)
    first, odds = is_in_first(later.user_ids), np.empty(len(labels))
    for asked in (first, ~first):
        half = replace(ranker, calibrator=fit_platt(margins[~asked], labels[~asked]))
        odds[asked] = log_odds_of(half.probabilities(margins[asked]))
    return odds


def labelled_pairs(
    events: Events,
    cut: Cut,
    *,
    attributes: ItemAttributes,
    retrieval: RetrievalParams,
    params: OfferParams,
    names: Sequence[str],
    negative_share: float,
    only_active: bool,
    seed: int,
    content: ItemContent | None = None,
    factors: Floats | None = None,
    threads: int = 1,
) -> LabelledPairs:
    """Candidate pairs of a sample of users with history at a cut, with what happened in its window.

    All pairs with a label are kept, and a share of the others. only_active: users who did something in the window;
    the others teach nothing about order, but probabilities must count them. factors: of items, learned earlier
    (see `fit_retrieval`). threads: change nothing but the time.
    """
    n_items = len(attributes)
    history = build_history(events, as_of=cut.as_of)
    model = fit_retrieval(
        history, n_items=n_items, params=retrieval, seed=seed, content=content, factors=factors, threads=threads
    )
    items = item_features(item_sums(history, n_items=n_items), attributes=attributes)
    window = events.between(cut.start, cut.end)
    users = np.intersect1d(history.user_ids, window.user_id) if only_active else history.user_ids
    some = history.for_users(_sample(users, most=params.training_users, seed=seed))
    met = _met(window, some.user_ids, target=params.target, n_items=n_items)
    nobody = np.empty(0, dtype=np.int64)
    none = LabelledPairs(np.empty((0, len(names)), dtype=np.float32), np.empty(0, dtype=bool), nobody)

    def look(start: int) -> LabelledPairs:
        pairs = union(
            user_block(some.block(start, start + _USERS_AT_ONCE), model), model, items, per_source=params.candidates
        )
        is_met = _contains(met, pairs.keys + start * n_items)
        kept = is_met | (
            uniform(pairs.block.history.user_ids[pairs.rows], pairs.codes.astype(np.int64), seed) < negative_share
        )
        chosen = replace(pairs, rows=pairs.rows[kept], codes=pairs.codes[kept])
        user_ids = pairs.block.history.user_ids[chosen.rows]
        return LabelledPairs(feature_matrix(chosen, names), is_met[kept], user_ids)

    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        return _joined([none, *pool.map(look, range(0, len(some), _USERS_AT_ONCE))])


def _joined(parts: Sequence[LabelledPairs]) -> LabelledPairs:
    return LabelledPairs(
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.user_ids for part in parts]),
    )


def _sample(user_ids: Longs, *, most: int, seed: int) -> Longs:
    """At most `most` users, ascending; which ones depends on their ids and the seed only."""
    draw = uniform(user_ids, np.zeros_like(user_ids), seed)
    return np.sort(user_ids[np.argsort(draw, kind="stable")[:most]])


def _met(window: Events, user_ids: Longs, *, target: str, n_items: int) -> Longs:
    """Distinct (user position, item) that the window's events count as labels, as one ascending number each."""
    wanted = window if target == "any" else window.take(members(target)[window.action])
    if not len(user_ids):
        return np.empty(0, dtype=np.int64)
    at = np.minimum(np.searchsorted(user_ids, wanted.user_id), len(user_ids) - 1)
    is_known = user_ids[at] == wanted.user_id
    keys: Longs = np.unique(at[is_known].astype(np.int64) * n_items + wanted.item_code[is_known])
    return keys


def _contains(keys: Longs, wanted: Longs) -> npt.NDArray[np.bool_]:
    """Which of `wanted` are among ascending `keys`."""
    if not len(keys):
        return np.zeros(len(wanted), dtype=bool)
    found: npt.NDArray[np.bool_] = keys[np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)] == wanted
    return found
