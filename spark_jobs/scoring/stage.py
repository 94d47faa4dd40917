"""The scoring stage: one `mapInArrow` over partitions of users, lists out.

Belongs here: what a Python worker does with a partition. Each block of users is scored, ordered, cut by the policy and
explained in place; candidate rows never cross Arrow. Workers use one thread, since Spark brings the parallelism.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from pyspark.accumulators import Accumulator, AccumulatorParam
from pyspark.broadcast import Broadcast
from pyspark.sql import DataFrame

from data_contracts.catalogue import Reasons
from data_contracts.columns import (
    OFFER_ITEMS,
    OFFER_REASONS,
    OFFER_SCORES,
    PRODUCT_ITEMS,
    PRODUCT_REASONS,
    PRODUCT_SCORES,
    USER_ID,
    VARIANT,
)
from data_contracts.experiments import Wanted
from data_contracts.policy import CompiledPolicy
from data_contracts.vocabulary import Variant
from spark_jobs.ranking.kernel import I64
from spark_jobs.ranking.products import ProductRanker
from spark_jobs.ranking.rows import ProductTable
from spark_jobs.ranking.uplift import UpliftModel
from spark_jobs.ranking.user_blocks import feature_matrix, user_arrays
from spark_jobs.scoring.lists import Lists
from spark_jobs.scoring.offer_lists import OfferInputs, OfferLister
from spark_jobs.scoring.product_lists import ProductLister
from spark_jobs.scoring.reasons import Agreement, ReasonCoder

# Spark has no unsigned types: 16-bit scores and reasons travel, and lie in Parquet, as int.
LISTS_DDL = (
    f"{USER_ID} bigint, {VARIANT} string, {PRODUCT_ITEMS} array<int>, {PRODUCT_SCORES} array<int>, "
    f"{PRODUCT_REASONS} array<int>, {OFFER_ITEMS} array<int>, {OFFER_SCORES} array<int>, {OFFER_REASONS} array<int>"
)
# Rows of features in a block's buffer: large enough to amortise calls, small enough for the cache.
_ROWS_IN_BUFFER = 65_536
_MOST_USERS = 4_096


@dataclass(frozen=True)
class ProductModels:
    """What product lists are made with; a value that is broadcast. With `uplift`, it decides the order."""

    ranker: ProductRanker
    products: ProductTable
    policy: CompiledPolicy
    reasons: Reasons
    uplift: UpliftModel | None = None

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What is asked of users' features, each once."""
        asked = self.uplift.user_features if self.uplift else ()
        return tuple(dict.fromkeys((*self.ranker.feature_names, *asked)))

    @property
    def block(self) -> int:
        """Users scored at once."""
        return max(1, min(_MOST_USERS, _ROWS_IN_BUFFER // len(self.products.values)))


@dataclass(frozen=True)
class StageModels:
    """Either side may be absent; a value that is broadcast."""

    products: ProductModels | None
    offers: OfferInputs | None = None
    variants: tuple["VariantModels", ...] = ()


@dataclass(frozen=True)
class VariantModels:
    """Of lists that only some users need, besides the personal ones."""

    wanted: Wanted
    products: ProductModels | None
    offers: OfferInputs | None = None


@dataclass(frozen=True)
class Worth:
    """By segment (row): how many users were scored, int64 (segments,); what products are worth to them together.

    worth: int64 (segments, products), sums of `ScoredBlock.worth`. Segments past the last row have no users.
    agreement: of reasons, over all segments.
    """

    users: I64
    worth: I64
    agreement: Agreement = field(default_factory=Agreement)

    @staticmethod
    def nothing(segments: int, products: int) -> "Worth":
        """Nobody scored yet."""
        return Worth(np.zeros(segments, np.int64), np.zeros((segments, products), np.int64))


class WorthSum(AccumulatorParam[Worth]):
    """Whole numbers, so the sum is the same whoever adds first. Spark counts each partition of a write once."""

    def zero(self, value: Worth) -> Worth:
        return Worth.nothing(0, value.worth.shape[1])

    def addInPlace(self, value1: Worth, value2: Worth) -> Worth:  # noqa: N802 - Spark's name
        longer, shorter = sorted((value1, value2), key=lambda value: -len(value.users))
        users, worth = longer.users.copy(), longer.worth.copy()
        users[: len(shorter.users)] += shorter.users
        worth[: len(shorter.users)] += shorter.worth
        return Worth(users, worth, value1.agreement + value2.agreement)


def personal_lists(rows: DataFrame, models: Broadcast[StageModels], worth: Accumulator[Worth]) -> DataFrame:
    """Lists (`LISTS_DDL`) of all users of `rows` (see `user_rows`) and of variants. Feeds `worth` when written."""

    def score(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from score_batches(batches, models.value, worth.add)

    return rows.mapInArrow(score, LISTS_DDL)


def score_batches(
    batches: Iterable[pa.RecordBatch], models: StageModels, add: Callable[[Worth], None]
) -> Iterator[pa.RecordBatch]:
    """What one task does."""
    personal = ListStep(Variant.PERSONAL, models.products, models.offers, add)
    others = [
        (one.wanted, ListStep(one.wanted.variant, one.products, one.offers, lambda _worth: None))
        for one in models.variants
    ]
    size = models.products.block if models.products else _MOST_USERS
    for batch in batches:
        for first in range(0, batch.num_rows, size):
            rows = batch.slice(first, size)
            yield personal.lists(rows)
            for wanted, step in others:
                some = rows.filter(pa.array(wanted.users(rows.column(USER_ID).to_numpy())))
                if some.num_rows:
                    yield step.lists(some)


class ListStep:
    """Lists of rows by one family of models, as a batch of `LISTS_DDL`."""

    def __init__(
        self,
        variant: Variant,
        products: ProductModels | None,
        offers: OfferInputs | None,
        add: Callable[[Worth], None],
    ) -> None:
        self._variant = variant
        self._products = None if products is None else ProductStep(products, add)
        self._offers = None if offers is None else OfferLister(offers)

    def lists(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        nothing = Lists.empty(rows.num_rows)
        products = self._products.lists(rows) if self._products else nothing
        offers = self._offers.lists(rows) if self._offers else nothing
        return _list_batch(rows, products, offers, self._variant)


class ProductStep:
    """Product lists of rows, and their worth by segment added up."""

    def __init__(self, models: ProductModels, add: Callable[[Worth], None]) -> None:
        self._models = models
        self._add = add
        coder = ReasonCoder(models.reasons, models.ranker.layout.names)
        self._lister = ProductLister(
            models.ranker, models.products, policy=models.policy, coder=coder, block=models.block
        )

    def lists(self, rows: pa.RecordBatch) -> Lists:
        ranker, products = self._models.ranker, self._models.products.ids
        users = user_arrays(rows, feature_names=ranker.feature_names, pair_names=ranker.pair_names, products=products)
        uplift = self._models.uplift
        gains = None if uplift is None else uplift.gains(feature_matrix(rows, uplift.user_features))
        scored = self._lister.lists(users, gains)
        segments = users.segments.astype(np.int64)
        total = Worth.nothing(int(segments.max(initial=-1)) + 1, len(products))
        np.add.at(total.users, segments, 1)
        np.add.at(total.worth, segments, scored.worth)
        self._add(replace(total, agreement=scored.agreement))
        return scored.lists


def _list_batch(rows: pa.RecordBatch, products: Lists, offers: Lists, variant: Variant) -> pa.RecordBatch:
    names = [PRODUCT_ITEMS, PRODUCT_SCORES, PRODUCT_REASONS, OFFER_ITEMS, OFFER_SCORES, OFFER_REASONS]
    arrays = [
        pa.ListArray.from_arrays(lists.offsets, values.astype(np.int32))
        for lists in (products, offers)
        for values in (lists.items, lists.scores, lists.reasons)
    ]
    variants = pa.array([variant.value] * rows.num_rows, pa.string())
    return pa.RecordBatch.from_arrays([rows.column(USER_ID), variants, *arrays], names=[USER_ID, VARIANT, *names])
