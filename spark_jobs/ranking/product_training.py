"""How the product ranker is trained: the cases of two windows, a booster, and its halves, which calibrate it.

One call, `train_on`, for a night and for whatever judges one. What a ranker is stands in `products`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from data_contracts.errors import InputError
from spark_jobs.ranking.boosting import BoosterParams, booster_bytes, booster_from, train_booster, uniform
from spark_jobs.ranking.calibration import fit_calibrator
from spark_jobs.ranking.kernel import F32, I64, margins
from spark_jobs.ranking.newest import is_in_first
from spark_jobs.ranking.products import BLOCK, FAMILIES, LabelledUsers, ProductRanker
from spark_jobs.ranking.rows import RowBuffer, RowLayout, met_columns, row_layout

# Share of negative cases that training keeps.
NEGATIVE_SHARE = 0.25
# Share of the users whose cases are learned from once more with all products new, so that a launch is known.
_NEW_SHARE, _NEW_SEED = 0.25, 20240301


class Seen(Protocol):
    """Labelled users of one window, with the names of their features and pair signals."""

    @property
    def users(self) -> LabelledUsers: ...
    @property
    def feature_names(self) -> tuple[str, ...]: ...
    @property
    def pair_names(self) -> tuple[str, ...]: ...


def train_on(
    train: Seen, calibrate: Seen, *, seed: int, threads: int, params: BoosterParams | None = None
) -> ProductRanker:
    """As a night trains, on an older and the newest window, and so whatever judges a night.

    Raises InputError where nothing was opened in either.
    """
    return train_product_ranker(
        train.users,
        calibrate.users,
        feature_names=train.feature_names,
        pair_names=train.pair_names,
        negative_share=NEGATIVE_SHARE,
        params=params or BoosterParams(),
        seed=seed,
        threads=threads,
    )


def train_product_ranker(
    older: LabelledUsers,
    newer: LabelledUsers,
    *,
    feature_names: Sequence[str],
    pair_names: Sequence[str],
    negative_share: float,
    params: BoosterParams,
    seed: int,
    threads: int,
) -> ProductRanker:
    """Fit the booster on both windows with a share of their negatives, and calibrate it by its halves.

    What of a new product is unknown (`rows`) it learns from copies of cases that keep it back; they calibrate nothing.

    Facts keep the windows apart: `training_…` are of the older, its negatives sampled, `calibration_…` of all the newer
    one's cases.
    """
    layout = row_layout(feature_names, pair_names)
    parts = [cases(one, layout, negative_share=negative_share, seed=seed) for one in (older, newer)]
    known = CaseRows.joined(parts)
    if not known.labels.any():
        raise InputError("no product was opened by an eligible user in the training windows: nothing to learn from")

    copies = [
        cases(_as_new(one, pair_names), layout, negative_share=negative_share, seed=seed) for one in (older, newer)
    ]
    learned = CaseRows.joined([known, *copies])

    def fit(some: NDArray[np.bool_] | slice) -> xgb.Booster:
        rows, labels = learned.rows[some], learned.labels[some]
        booster = train_booster(rows, labels, names=layout.names, params=params, seed=seed, threads=threads)
        return booster_from(booster_bytes(booster))

    learners, first = is_in_first(learned.user_ids), is_in_first(known.user_ids)
    halves = (fit(~learners), fit(learners))
    raw = np.empty(len(known.labels), np.float32)
    for booster, asked in zip(halves, (first, ~first), strict=True):
        raw[asked] = margins(booster, known.rows[asked])
    shift = float(np.log(negative_share))
    raw += np.float32(shift)
    weights = np.where(known.labels > 0, 1.0, 1.0 / negative_share)
    calibrator = fit_calibrator(raw, known.labels, known.families, FAMILIES, weights=weights)
    return ProductRanker(
        feature_names=tuple(feature_names),
        pair_names=tuple(pair_names),
        booster=fit(slice(None)),
        calibrator=calibrator,
        margin_shift=shift,
        facts={
            "training_rows": len(parts[0].labels),
            "training_positives": int(parts[0].labels.sum()),
            "calibration_rows": int(newer.eligible.sum()),
            "calibration_positives": int(parts[1].labels.sum()),
        },
        halves=halves,
    )


@dataclass(frozen=True)
class CaseRows:
    """Cases as a booster learns from them: rows (n, width), labels 0 or 1, numbers of families, whose they are."""

    rows: F32
    labels: F32
    families: I64
    user_ids: I64

    @staticmethod
    def joined(parts: "Sequence[CaseRows]") -> "CaseRows":
        names = ("rows", "labels", "families", "user_ids")
        return CaseRows(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def cases(users: LabelledUsers, layout: RowLayout, *, negative_share: float, seed: int) -> CaseRows:
    """Of the eligible pairs all positives, and a share of the negatives.

    Which negatives stay depends on user, product and seed only.
    """
    buffer = RowBuffer(layout, users.products, BLOCK)
    numbers = np.arange(len(users.products.values), dtype=np.int64)
    draw = uniform(users.user_ids[:, None], numbers[None, :], seed)
    kept = users.eligible & (users.labels | (draw < negative_share))
    rows = np.empty((int(kept.sum()), layout.width), np.float32)
    filled = 0
    for first in range(0, len(users.user_ids), BLOCK):
        block = slice(first, first + BLOCK)
        some = buffer.product_rows(users.features[block], users.pairs[block])[kept[block]]
        rows[filled : filled + len(some)] = some
        filled += len(some)
    families = np.broadcast_to(users.products.families, kept.shape)[kept]
    owners = np.broadcast_to(users.user_ids[:, None], kept.shape)[kept]
    return CaseRows(rows, users.labels[kept].astype(np.float32), families, owners)


def _as_new(users: LabelledUsers, pair_names: Sequence[str]) -> LabelledUsers:
    """Some of the users, on a day on which every product is new and nobody has met it."""
    some = uniform(users.user_ids, np.zeros_like(users.user_ids), _NEW_SEED) < _NEW_SHARE
    parts = {name: getattr(users, name)[some] for name in ("user_ids", "features", "pairs", "eligible", "labels")}
    parts["pairs"][:, :, met_columns(pair_names)] = 0
    return replace(users, **parts, products=replace(users.products, is_new=np.ones(len(users.products.ids), bool)))
