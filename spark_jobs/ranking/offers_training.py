"""Training of the offer ranker: when it looks, what it learns from, and how it is calibrated. Pure.

A training cut is a miniature of the night: everything (history, item features, retrieval models) is made from events
before its as-of; labels are what happened in its window, after a gap. No window reaches beyond the night's cut-off.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_contracts.errors import InputError
from spark_jobs.candidates.base import RetrievalModel, RetrievalParams
from spark_jobs.candidates.retrieval import fit_retrieval, user_block
from spark_jobs.features.history import MICROSECONDS_PER_HOUR, Events, Floats, Longs, UserHistory, build_history
from spark_jobs.features.item_features import ItemAttributes, ItemFeatures, item_features, item_sums
from spark_jobs.ranking.boosting import booster_bytes, booster_from, train_booster, uniform
from spark_jobs.ranking.calibration import Platt, auc, fit_platt
from spark_jobs.ranking.offers import OfferParams, OfferRanker
from spark_jobs.ranking.offers_features import feature_matrix, feature_names, union

# A training as-of needs at least this much to look back on.
MIN_HISTORY_HOURS = 12.0
_USERS_AT_ONCE = 2048


@dataclass(frozen=True)
class Cut:
    """An as-of with the window its labels come from, microseconds since 1970 UTC: as_of ≤ start < end."""

    as_of: int
    start: int
    end: int


@dataclass(frozen=True)
class Plan:
    """Cuts to train on, and a later one to calibrate on (none: margins stay as they are)."""

    train: tuple[Cut, ...]
    calibrate: Cut | None


@dataclass(frozen=True)
class LabelledPairs:
    """rows float32 [P, F], labels bool [P]; user int64 [P] is the user's id."""

    rows: Floats
    labels: npt.NDArray[np.bool_]
    user: Longs


def night_plan(*, first: int, cut_off: int, horizon_hours: float, gap_hours: float) -> Plan:
    """Calibrate on the last horizon before the cut-off, train on the one before it. Raises InputError."""
    hour, horizon = MICROSECONDS_PER_HOUR, int(horizon_hours * MICROSECONDS_PER_HOUR)
    gap = int(gap_hours * hour)
    last = Cut(cut_off - horizon - gap, cut_off - horizon, cut_off)
    earlier = Cut(last.as_of - horizon, last.start - horizon, last.start)
    missing = (first - (earlier.as_of - int(MIN_HISTORY_HOURS * hour))) / (24 * hour)
    if missing > 0.05:
        raise InputError(
            f"offers: history is {missing:.1f} days too short to train and calibrate on a horizon of "
            f"{horizon_hours / 24:g} days with a gap of {gap_hours:g} h: deliver earlier days or set a shorter horizon"
        )
    return Plan(train=(earlier,), calibrate=last)


def train_offer_ranker(
    events: Events,
    *,
    attributes: ItemAttributes,
    plan: Plan,
    retrieval: RetrievalParams,
    params: OfferParams,
    seed: int,
    threads: int,
) -> OfferRanker:
    """Learn from the events of a sample of users. Raises InputError when no label is positive."""
    names = tuple(feature_names(0))
    parts = [
        labelled_pairs(events, cut, attributes=attributes, retrieval=retrieval, params=params, seed=seed)
        for cut in plan.train
    ]
    rows, labels = np.concatenate([part.rows for part in parts]), np.concatenate([part.labels for part in parts])
    if not labels.any():
        raise InputError("offers: nobody met a candidate offer again in the training window: nothing to learn from")
    boosters = tuple(
        train_booster(
            rows, labels.astype(np.float32), names=names, params=params.booster, seed=seed + n, threads=threads
        )
        for n in range(params.models)
    )
    ranker = OfferRanker(
        feature_names=names,
        candidates=dict(params.candidates),
        boosters=tuple(booster_from(booster_bytes(booster)) for booster in boosters),
        calibrator=Platt(1.0, 0.0, int(labels.sum())),
        facts={"training_rows": float(len(rows)), "training_positives": float(labels.sum())},
    )
    if plan.calibrate is None:
        return ranker
    later = labelled_pairs(events, plan.calibrate, attributes=attributes, retrieval=retrieval, params=params, seed=seed)
    return calibrated(ranker, later)


def calibrated(ranker: OfferRanker, later: LabelledPairs) -> OfferRanker:
    margins = ranker.margins(later.rows)
    labels = later.labels.astype(np.float32)
    facts = {**ranker.facts, "calibration_rows": float(len(labels)), "calibration_positives": float(labels.sum())}
    if 0 < labels.sum() < len(labels):
        facts["auc"] = auc(margins, labels)
    return OfferRanker(ranker.feature_names, ranker.candidates, ranker.boosters, fit_platt(margins, labels), facts)


def labelled_pairs(
    events: Events,
    cut: Cut,
    *,
    attributes: ItemAttributes,
    retrieval: RetrievalParams,
    params: OfferParams,
    seed: int,
) -> LabelledPairs:
    """Candidate pairs of a sample of users with history at a cut, with what happened in its window."""
    n_items = len(attributes)
    history = build_history(events, as_of=cut.as_of)
    model = fit_retrieval(history, n_items=n_items, params=retrieval, seed=seed)
    items = item_features(item_sums(history, n_items=n_items), attributes=attributes)
    window = events.between(cut.start, cut.end)
    users = _sample(history.user_ids, most=params.training_users, seed=seed)
    met = _keys(window, users, n_items=n_items)
    return _label(history.for_users(users), model, items, met=met, per_source=params.candidates)


def _label(
    history: UserHistory, model: RetrievalModel, items: ItemFeatures, *, met: Longs, per_source: Mapping[str, int]
) -> LabelledPairs:
    parts = []
    for start in range(0, len(history), _USERS_AT_ONCE):
        block = user_block(history.block(start, start + _USERS_AT_ONCE), model)
        pairs = union(block, model, items, per_source=per_source)
        is_met = _contains(met, pairs.keys + start * model.n_items)
        parts.append(LabelledPairs(feature_matrix(pairs), is_met, block.history.user_ids[pairs.rows]))
    return _joined(parts)


def _joined(parts: Sequence[LabelledPairs]) -> LabelledPairs:
    return LabelledPairs(
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.user for part in parts]),
    )


def _sample(user_ids: Longs, *, most: int, seed: int) -> Longs:
    """At most `most` users, ascending; which ones depends on their ids and the seed only."""
    draw = uniform(user_ids, np.zeros_like(user_ids), seed)
    return np.sort(user_ids[np.argsort(draw, kind="stable")[:most]])


def _keys(events: Events, user_ids: Longs, *, n_items: int) -> Longs:
    """Distinct (user position, item) of the events, as one ascending number each."""
    at = np.minimum(np.searchsorted(user_ids, events.user_id), len(user_ids) - 1)
    is_known = user_ids[at] == events.user_id
    keys: Longs = np.unique(at[is_known].astype(np.int64) * n_items + events.item_code[is_known])
    return keys


def _contains(keys: Longs, wanted: Longs) -> npt.NDArray[np.bool_]:
    """Which of `wanted` are among ascending `keys`."""
    if not len(keys):
        return np.zeros(len(wanted), dtype=bool)
    found: npt.NDArray[np.bool_] = keys[np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)] == wanted
    return found
