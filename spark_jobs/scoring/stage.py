"""The scoring stage: one `mapInArrow` over partitions of users; lists out, and the best users of each product.

Belongs here: what a Python worker does with a partition. Each block of users is scored, ordered, cut by the policy and
explained in place; candidate rows never cross Arrow. Workers use one thread, since Spark brings the parallelism.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pyarrow as pa
from pyspark.accumulators import Accumulator, AccumulatorParam
from pyspark.broadcast import Broadcast
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from data_contracts.catalogue import Reasons
from data_contracts.columns import (
    ITEM,
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
from spark_jobs.scoring.audience_pool import PARTS, Picker, PoolSize, Reach
from spark_jobs.scoring.lists import Lists
from spark_jobs.scoring.offer_lists import OfferInputs, OfferLister
from spark_jobs.scoring.product_lists import ProductLister
from spark_jobs.scoring.reasons import Agreement, ReasonCoder

# Spark has no unsigned types: 16-bit scores and reasons travel, and lie in Parquet, as int.
_ARRAYS = (PRODUCT_ITEMS, PRODUCT_SCORES, PRODUCT_REASONS, OFFER_ITEMS, OFFER_SCORES, OFFER_REASONS)
LISTS = pa.schema([(USER_ID, pa.int64()), (VARIANT, pa.string()), *((name, pa.list_(pa.int32())) for name in _ARRAYS)])
_STAGE = pa.schema([*LISTS, *(field for field in PARTS if field.name not in LISTS.names)])
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


def scored(rows: DataFrame, models: Broadcast[StageModels], worth: Accumulator[Worth], size: PoolSize) -> "ScoredUsers":
    """All users of `rows` (see `user_rows`), whose partitions are tasks. Feeds `worth` when lists are written."""

    def score(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        picker = Picker(size)
        for lists in score_batches(batches, models.value, worth.add, picker.take):
            yield _widened(lists)
        yield _widened(picker.parts())

    return ScoredUsers(rows.mapInArrow(score, from_arrow_schema(_STAGE)))


@dataclass(frozen=True)
class ScoredUsers:
    """rows: lists (`LISTS`), and parts of the pool of audiences (`PARTS`), which have an item. Scoring is what costs:
    persist them where both are taken.
    """

    rows: DataFrame

    def lists(self) -> DataFrame:
        """Of all users and variants."""
        return self.rows.where(F.col(ITEM).isNull()).select(*LISTS.names)

    def pool_parts(self) -> DataFrame:
        return self.rows.where(F.col(ITEM).isNotNull()).select(*PARTS.names)


def _widened(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = [
        batch.column(field.name) if field.name in batch.schema.names else pa.nulls(batch.num_rows, field.type)
        for field in _STAGE
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_STAGE)


def score_batches(
    batches: Iterable[pa.RecordBatch],
    models: StageModels,
    add: Callable[[Worth], None],
    take: Callable[[Variant, Reach], None] = lambda _variant, _reach: None,
) -> Iterator[pa.RecordBatch]:
    """The lists that one task makes. `take` is told whom each variant may show what."""
    personal = ListStep(Variant.PERSONAL, models.products, models.offers, add, take)
    others = [
        (one.wanted, ListStep(one.wanted.variant, one.products, one.offers, lambda _worth: None, take))
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
    """Lists of rows by one family of models, as a batch of `LISTS`."""

    def __init__(
        self,
        variant: Variant,
        products: ProductModels | None,
        offers: OfferInputs | None,
        add: Callable[[Worth], None],
        take: Callable[[Variant, Reach], None],
    ) -> None:
        self._variant = variant
        self._products = None if products is None else ProductStep(products, add, partial(take, variant))
        self._offers = None if offers is None else OfferLister(offers)

    def lists(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        nothing = Lists.empty(rows.num_rows)
        products = self._products.lists(rows) if self._products else nothing
        offers = self._offers.lists(rows) if self._offers else nothing
        return _list_batch(rows, products, offers, self._variant)


class ProductStep:
    """Product lists of rows, and their worth by segment added up."""

    def __init__(self, models: ProductModels, add: Callable[[Worth], None], take: Callable[[Reach], None]) -> None:
        self._models = models
        self._add, self._take = add, take
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
        self._take(scored.reach)
        return scored.lists


def _list_batch(rows: pa.RecordBatch, products: Lists, offers: Lists, variant: Variant) -> pa.RecordBatch:
    arrays = [
        pa.ListArray.from_arrays(lists.offsets, values.astype(np.int32))
        for lists in (products, offers)
        for values in (lists.items, lists.scores, lists.reasons)
    ]
    variants = pa.array([variant.value] * rows.num_rows, pa.string())
    return pa.RecordBatch.from_arrays([rows.column(USER_ID), variants, *arrays], names=LISTS.names)
