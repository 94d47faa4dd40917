"""The product ranker: one booster over (user, product) rows and its calibrator, as a value with load and save.

Trained on the users of one as-of, calibrated on those of a later one, applied at the night's. What it returns is the
calibrated probability that a user opens a product within the horizon.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from data_contracts.errors import InputError
from data_contracts.vocabulary import Family
from spark_jobs.lake.files import read_bytes, write_bytes
from spark_jobs.ranking.boosting import BoosterParams, booster_bytes, booster_from, train_booster, uniform
from spark_jobs.ranking.calibration import Calibrator, Platt, auc, fit_calibrator, log_loss, sigmoid
from spark_jobs.ranking.kernel import F32, I64, margins
from spark_jobs.ranking.newest import Fold, Judged, log_odds_of
from spark_jobs.ranking.rows import ProductTable, RowBuffer, RowLayout, row_layout

# Share of negative cases that training keeps.
NEGATIVE_SHARE = 0.25
_BOOSTER, _DOCUMENT = "booster.ubj", "ranker.json"
_BLOCK = 1024
_FAMILIES = [family.value for family in Family]


@dataclass(frozen=True)
class LabelledUsers:
    """Users as seen from an as-of, and what they opened within the horizon after it.

    features: (n, user features); pairs: (n, products, pair signals); eligible and labels: (n, products). Only
    eligible pairs are cases. `products` are as seen from the same as-of.
    """

    user_ids: I64
    features: F32
    pairs: F32
    eligible: NDArray[np.bool_]
    labels: NDArray[np.bool_]
    products: ProductTable


@dataclass(frozen=True)
class ProductRanker:
    """`margin_shift` undoes the subsampling of negatives: log of the share that was kept.

    `facts` are JSON-able: training counts, AUC and log loss on the calibration as-of.
    """

    feature_names: tuple[str, ...]
    pair_names: tuple[str, ...]
    booster: xgb.Booster
    calibrator: Calibrator
    margin_shift: float
    facts: Mapping[str, float]

    @property
    def layout(self) -> RowLayout:
        return row_layout(self.feature_names, self.pair_names)

    def save(self, folder: str) -> str:
        """Write booster and document to a folder (URI); returns the sha256 of the booster."""
        content = booster_bytes(self.booster)
        digest = hashlib.sha256(content).hexdigest()
        document = {
            "feature_names": self.feature_names,
            "pair_names": self.pair_names,
            "calibrator": asdict(self.calibrator),
            "margin_shift": self.margin_shift,
            "facts": dict(self.facts),
            "sha256": {_BOOSTER: digest},
        }
        write_bytes(f"{folder}/{_BOOSTER}", content)
        write_bytes(f"{folder}/{_DOCUMENT}", json.dumps(document, indent=1, sort_keys=True).encode())
        return digest

    @staticmethod
    def load(folder: str) -> "ProductRanker":
        """Raises FileNotFoundError where none was saved, InputError where booster and document disagree."""
        document = json.loads(read_bytes(f"{folder}/{_DOCUMENT}"))
        content = read_bytes(f"{folder}/{_BOOSTER}")
        if hashlib.sha256(content).hexdigest() != document["sha256"][_BOOSTER]:
            raise InputError(f"{folder}/{_BOOSTER} is not the booster its document describes: train again")
        groups = {name: Platt(**pair) for name, pair in document["calibrator"]["groups"].items()}
        return ProductRanker(
            feature_names=tuple(document["feature_names"]),
            pair_names=tuple(document["pair_names"]),
            booster=booster_from(content),
            calibrator=Calibrator(overall=Platt(**document["calibrator"]["overall"]), groups=groups),
            margin_shift=document["margin_shift"],
            facts=document["facts"],
        )


class ProductScorer:
    """A ranker on blocks of at most `block` users × all products, in buffers that live as long as the scorer."""

    def __init__(self, ranker: ProductRanker, products: ProductTable, block: int) -> None:
        self._ranker = ranker
        self._buffer = RowBuffer(ranker.layout, products, block)
        families = [_FAMILIES[number] for number in products.families]
        self._slopes, self._intercepts = ranker.calibrator.coefficients(families)

    def probabilities(self, users: F32, pairs: F32) -> F32:
        """(n, products) calibrated probabilities."""
        rows = self._buffer.product_rows(users, pairs)
        raw = margins(self._ranker.booster, rows.reshape(-1, rows.shape[2])).reshape(rows.shape[:2])
        return sigmoid(self._slopes * (raw + self._ranker.margin_shift) + self._intercepts).astype(np.float32)

    def listed_rows(self, users: NDArray[np.integer[Any]], products: NDArray[np.integer[Any]]) -> F32:
        """Copies of the rows of some (user in block, product) pairs of the last block."""
        return self._buffer.rows_of(users, products)


@dataclass(frozen=True)
class Cases:
    """Users of one window as the ranker learns from them: `Seen`, and nothing else."""

    users: LabelledUsers
    feature_names: tuple[str, ...]
    pair_names: tuple[str, ...]


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
    """As a night trains, and so whatever judges a night. Raises InputError where nothing was opened in `train`."""
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
    train: LabelledUsers,
    calibrate: LabelledUsers,
    *,
    feature_names: Sequence[str],
    pair_names: Sequence[str],
    negative_share: float,
    params: BoosterParams,
    seed: int,
    threads: int,
) -> ProductRanker:
    """Fit the booster on `train` with a share of its negatives, calibrate it on all cases of `calibrate`."""
    layout = row_layout(feature_names, pair_names)
    rows, labels, _ = cases(train, layout, negative_share=negative_share, seed=seed)
    if not labels.any():
        raise InputError("no product was opened by an eligible user in the training window: nothing to learn from")
    booster = train_booster(rows, labels, names=layout.names, params=params, seed=seed, threads=threads)
    booster = booster_from(booster_bytes(booster))
    later, outcomes, families = cases(calibrate, layout, negative_share=1.0, seed=seed)
    shift = float(np.log(negative_share))
    raw = margins(booster, later) + np.float32(shift)
    calibrator = fit_calibrator(raw, outcomes, families, _FAMILIES)
    return ProductRanker(
        feature_names=tuple(feature_names),
        pair_names=tuple(pair_names),
        booster=booster,
        calibrator=calibrator,
        margin_shift=shift,
        facts={
            "training_rows": len(rows),
            "training_positives": int(labels.sum()),
            "calibration_rows": len(later),
            **_quality(calibrator, raw, outcomes, families),
        },
    )


def judged_products(
    ranker: ProductRanker, users: LabelledUsers, feature_names: Sequence[str], *, beside: ProductRanker | None = None
) -> Judged:
    """Both rankers on all eligible pairs of `users`, whose features are called `feature_names`."""
    rows = np.broadcast_to(users.user_ids[:, None], users.eligible.shape)
    families = np.broadcast_to(users.products.families, users.eligible.shape)
    mask = users.eligible
    fold = Fold(rows[mask], users.labels[mask], families[mask], _FAMILIES)
    own = log_odds_of(told_by(ranker, users, feature_names)[mask])
    other = None if beside is None else log_odds_of(told_by(beside, users, feature_names)[mask])
    return Judged(fold, own, other)


def told_by(ranker: ProductRanker, users: LabelledUsers, feature_names: Sequence[str]) -> F32:
    """Calibrated probabilities (n, products), block by block, so that the rows of all users never lie in memory.

    feature_names: of the users' features.
    """
    position = {name: number for number, name in enumerate(feature_names)}
    columns = [position[name] for name in ranker.feature_names]
    scorer = ProductScorer(ranker, users.products, _BLOCK)
    blocks = [slice(first, first + _BLOCK) for first in range(0, len(users.user_ids), _BLOCK)]
    parts = [scorer.probabilities(users.features[block][:, columns], users.pairs[block]) for block in blocks]
    return np.concatenate([np.empty((0, len(users.products.values)), np.float32), *parts])


def cases(users: LabelledUsers, layout: RowLayout, *, negative_share: float, seed: int) -> tuple[F32, F32, I64]:
    """Rows, labels and family numbers of the eligible pairs: all positives, and a share of the negatives.

    Which negatives stay depends on user, product and seed only.
    """
    buffer = RowBuffer(layout, users.products, _BLOCK)
    numbers = np.arange(len(users.products.values), dtype=np.int64)
    draw = uniform(users.user_ids[:, None], numbers[None, :], seed)
    kept = users.eligible & (users.labels | (draw < negative_share))
    rows = np.empty((int(kept.sum()), layout.width), np.float32)
    filled = 0
    for first in range(0, len(users.user_ids), _BLOCK):
        block = slice(first, first + _BLOCK)
        some = buffer.product_rows(users.features[block], users.pairs[block])[kept[block]]
        rows[filled : filled + len(some)] = some
        filled += len(some)
    families = np.broadcast_to(users.products.families, kept.shape)[kept]
    return rows, users.labels[kept].astype(np.float32), families


def _quality(calibrator: Calibrator, raw: F32, outcomes: F32, families: I64) -> dict[str, float]:
    """AUC and log loss on the calibration as-of; the calibrator has seen these cases, the booster has not."""
    slopes, intercepts = calibrator.coefficients(_FAMILIES)
    probability = sigmoid(slopes[families] * raw + intercepts[families])
    quality = {"calibration_positives": float(outcomes.sum()), "mean_probability": float(probability.mean())}
    if 0 < outcomes.sum() < len(outcomes):
        quality["auc"] = auc(raw, outcomes)
        quality["log_loss"] = log_loss(probability, outcomes)
    return quality
