"""The product ranker: one booster over (user, product) rows and its calibrator, as a value with load and save.

Trained on the users of both windows whose labels are known, applied at the night's as-of. What it returns is the
calibrated probability that a user opens a product within the horizon.

Two boosters more learn from one half of the users each, so that everybody in the windows can be asked of one that has
not seen them (cross-fitting): what they say calibrates the first, and is what it is judged by beside another ranker.
Which half a user is in never changes, so a champion of an earlier night has not seen them either.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from data_contracts.errors import InputError
from data_contracts.vocabulary import Family
from spark_jobs.lake.files import digests_of, read_bytes, write_bytes
from spark_jobs.ranking.boosting import booster_bytes, booster_from
from spark_jobs.ranking.calibration import Calibrator, Platt, sigmoid
from spark_jobs.ranking.kernel import F32, I64, margins
from spark_jobs.ranking.newest import Fold, Judged, is_in_first, log_odds_of
from spark_jobs.ranking.rows import ProductTable, RowBuffer, RowLayout, row_layout

_BOOSTER, _DOCUMENT = "booster.ubj", "ranker.json"
_HALVES = ("booster_without_first.ubj", "booster_of_first.ubj")
BLOCK = 1024
FAMILIES = [family.value for family in Family]


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

    halves: boosters of the users that `is_in_first` leaves out, and of those it names; none where nobody will ask.
    `facts` are JSON-able: counts of training.
    """

    feature_names: tuple[str, ...]
    pair_names: tuple[str, ...]
    booster: xgb.Booster
    calibrator: Calibrator
    margin_shift: float
    facts: Mapping[str, float]
    halves: tuple[xgb.Booster, ...] = ()

    @property
    def layout(self) -> RowLayout:
        return row_layout(self.feature_names, self.pair_names)

    def save(self, folder: str) -> str:
        """Write boosters and document to a folder (URI); returns the sha256 of the one that scores."""
        boosters = dict(zip((_BOOSTER, *_HALVES), (self.booster, *self.halves), strict=False))
        files = {name: booster_bytes(one) for name, one in boosters.items()}
        digests = digests_of(files)
        document = {
            "feature_names": self.feature_names,
            "pair_names": self.pair_names,
            "calibrator": asdict(self.calibrator),
            "margin_shift": self.margin_shift,
            "facts": dict(self.facts),
            "sha256": digests,
        }
        for name, content in files.items():
            write_bytes(f"{folder}/{name}", content)
        write_bytes(f"{folder}/{_DOCUMENT}", json.dumps(document, indent=1, sort_keys=True).encode())
        return digests[_BOOSTER]

    @staticmethod
    def load(folder: str, *, with_halves: bool = False) -> "ProductRanker":
        """with_halves: to be judged rather than to score.

        Raises FileNotFoundError where none was saved, InputError where booster and document disagree.
        """
        document = json.loads(read_bytes(f"{folder}/{_DOCUMENT}"))
        boosters = {
            name: _read_booster(folder, name, digest)
            for name, digest in document["sha256"].items()
            if name == _BOOSTER or with_halves
        }
        groups = {name: Platt(**pair) for name, pair in document["calibrator"]["groups"].items()}
        return ProductRanker(
            feature_names=tuple(document["feature_names"]),
            pair_names=tuple(document["pair_names"]),
            booster=boosters[_BOOSTER],
            calibrator=Calibrator(overall=Platt(**document["calibrator"]["overall"]), groups=groups),
            margin_shift=document["margin_shift"],
            facts=document["facts"],
            halves=tuple(boosters[name] for name in _HALVES if name in boosters),
        )


def _read_booster(folder: str, name: str, digest: str) -> xgb.Booster:
    content = read_bytes(f"{folder}/{name}")
    if hashlib.sha256(content).hexdigest() != digest:
        raise InputError(f"{folder}/{name} is not the booster its document describes: train again")
    return booster_from(content)


class ProductScorer:
    """A ranker on blocks of at most `block` users × all products, in buffers that live as long as the scorer."""

    def __init__(self, ranker: ProductRanker, products: ProductTable, block: int) -> None:
        self._ranker = ranker
        self._buffer = RowBuffer(ranker.layout, products, block)
        families = [FAMILIES[number] for number in products.families]
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


def judged_products(
    ranker: ProductRanker, users: LabelledUsers, feature_names: Sequence[str], *, beside: ProductRanker | None = None
) -> Judged:
    """Both rankers on all eligible pairs of `users`, whose features are called `feature_names`, each by its halves."""
    rows = np.broadcast_to(users.user_ids[:, None], users.eligible.shape)
    families = np.broadcast_to(users.products.families, users.eligible.shape)
    mask = users.eligible
    fold = Fold(rows[mask], users.labels[mask], families[mask], FAMILIES)
    own = log_odds_of(told_to_strangers(ranker, users, feature_names)[mask])
    other = None if beside is None else log_odds_of(told_to_strangers(beside, users, feature_names)[mask])
    return Judged(fold, own, other)


def told_to_strangers(ranker: ProductRanker, users: LabelledUsers, feature_names: Sequence[str]) -> F32:
    """As `told_by`, each user by the half that has not learned from them; by the whole of a ranker without halves."""
    if not ranker.halves:
        return told_by(ranker, users, feature_names)
    first = is_in_first(users.user_ids)
    answer = np.empty(users.eligible.shape, np.float32)
    for booster, asked in zip(ranker.halves, (first, ~first), strict=True):
        some = replace(users, user_ids=users.user_ids[asked], features=users.features[asked], pairs=users.pairs[asked])
        answer[asked] = told_by(replace(ranker, booster=booster), some, feature_names)
    return answer


def told_by(ranker: ProductRanker, users: LabelledUsers, feature_names: Sequence[str]) -> F32:
    """Calibrated probabilities (n, products), block by block, so that the rows of all users never lie in memory.

    feature_names: of the users' features.
    """
    position = {name: number for number, name in enumerate(feature_names)}
    columns = [position[name] for name in ranker.feature_names]
    scorer = ProductScorer(ranker, users.products, BLOCK)
    blocks = [slice(first, first + BLOCK) for first in range(0, len(users.user_ids), BLOCK)]
    parts = [scorer.probabilities(users.features[block][:, columns], users.pairs[block]) for block in blocks]
    return np.concatenate([np.empty((0, len(users.products.values)), np.float32), *parts])
