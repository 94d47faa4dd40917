"""The night's side of offers: what is read from the lake to train on, and the models' files of an as-of.

Only consenting users are trained on (everybody where no customers were ever delivered); a seeded sample of them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from data_contracts.columns import AS_OF, DOMAIN, SEGMENT, USER_ID
from data_contracts.errors import InputError
from data_contracts.night import NightParams
from spark_jobs.candidates.als import fold_in
from spark_jobs.candidates.base import RetrievalModel
from spark_jobs.candidates.content import CONTENT_COLUMNS, ItemContent, content_of
from spark_jobs.candidates.params import RetrievalParams
from spark_jobs.candidates.retrieval import fit_retrieval
from spark_jobs.features.days import midnight
from spark_jobs.features.history import Events, Floats
from spark_jobs.features.offer_tables import (
    HISTORY,
    ITEM_FEATURES,
    Strings,
    events_of,
    history_of,
    index_frame,
    microseconds,
    offer_events,
    offer_interactions,
    read_item_features,
    vector_batch,
)
from spark_jobs.ingest.validity import customers_at
from spark_jobs.lake.collect import collected
from spark_jobs.lake.tables import read_table, write_table
from spark_jobs.ranking.newest import Judged
from spark_jobs.ranking.offers import OfferParams, OfferRanker
from spark_jobs.ranking.offers_store import load_retrieval, save_offer_ranker, save_retrieval
from spark_jobs.ranking.offers_training import (
    LabelledPairs,
    labelled_pairs,
    newest_cut,
    night_plan,
    require_history,
    train_and_judge,
)

VECTORS = "gold.user_vectors"
# Users that models learn from, most.
SAMPLE_USERS = 200_000
_SAMPLE_STEPS = 1_000_000


@dataclass(frozen=True)
class SavedModels:
    """sha256 of each file, JSON-able facts, warnings worth a person's look; judged: on the newest cases."""

    files: Mapping[str, str]
    facts: Mapping[str, float]
    warnings: tuple[str, ...] = field(default=())
    judged: Judged | None = None


def train_retrieval_models(
    spark: SparkSession,
    params: NightParams,
    *,
    retrieval: RetrievalParams | None = None,
    champion: str | None = None,
    folder: str | None = None,
) -> tuple[RetrievalModel, SavedModels]:
    """Learn all candidate sources at the as-of and save them under `folder`, by default `params.models_uri`.

    champion: folder of models trained earlier, whose item factors and sizes are taken over; what is only counted
    (neighbours, popularity, means) is counted anew, and items that it did not know are placed by their content.
    """
    lake, night = params.lake, F.col(AS_OF) == F.lit(params.as_of)
    item_ids, items = read_item_features(
        read_table(spark, lake, ITEM_FEATURES).where(night), read_table(spark, lake, "silver.items")
    )
    segments = read_table(spark, lake, "gold.segments").where(night).select(USER_ID, SEGMENT)
    sample = sampled(read_table(spark, lake, HISTORY).where(night), spark=spark, params=params)
    rows = collected(sample.join(segments, USER_ID, "left").fillna(0, SEGMENT), sort_by=USER_ID)
    sizes, factors = retrieval or RetrievalParams(), None
    if champion is not None:
        learned, known, _ = load_retrieval(champion)
        sizes, factors = learned.params, aligned(learned.item_factors, known, item_ids)
    model = fit_retrieval(
        history_of(rows),
        n_items=len(item_ids),
        params=sizes,
        factors=factors,
        seed=params.seed,
        segment=rows.column(SEGMENT).to_numpy(),
        content=item_content(spark, params, item_ids=item_ids),
        threads=params.training_threads,
    )
    files = save_retrieval(folder or params.models_uri, model, item_ids=item_ids, items=items)
    return model, SavedModels(files, {"items": float(len(item_ids)), "training_users": float(rows.num_rows)})


def fold_users(spark: SparkSession, params: NightParams, model: RetrievalModel) -> int:
    """Write `gold.user_vectors`: every user's vector in the model's factors. Returns the table's version."""
    learned = spark.sparkContext.broadcast((model.item_factors, model.params))

    def fold(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        item_factors, retrieval = learned.value
        for batch in batches:
            history = history_of(batch)
            yield vector_batch(history.user_ids, fold_in(history, item_factors=item_factors, params=retrieval))

    histories = read_table(spark, params.lake, HISTORY).where(F.col(AS_OF) == F.lit(params.as_of))
    vectors = histories.mapInArrow(fold, f"{USER_ID} bigint, vector binary").withColumn(AS_OF, F.lit(params.as_of))
    return write_table(vectors, params.lake, VECTORS, partitions=[params.as_of])


def aligned(factors: Floats, known: Strings, item_ids: Strings) -> Floats:
    """Rows of `factors` (of the items `known`, ascending) in the order of `item_ids`; zero where not known."""
    if not len(known):
        return np.zeros((len(item_ids), factors.shape[1]), np.float32)
    at = np.minimum(np.searchsorted(known, item_ids), len(known) - 1)
    rows: Floats = np.where((known[at] == item_ids)[:, None], factors[at], np.float32(0))
    return rows


def train_offer_models(
    spark: SparkSession, params: NightParams, *, offers: OfferParams | None = None, beside: OfferRanker | None = None
) -> SavedModels:
    """Train the offer ranker and save it beside the retrieval models. Raises InputError for too short a history.

    beside: another ranker that is asked about the same newest cases.
    """
    model, item_ids, items = load_retrieval(params.models_uri)
    events = training_events(spark, params, item_ids=item_ids) if len(item_ids) else None
    if events is None or not len(events):
        return SavedModels({}, {}, ("offers: nothing was done with any, so no offers are ranked",))
    plan = night_plan(
        first=int(events.time.min()),
        cut_off=microseconds(params.cut_off),
        horizon_hours=24.0 * params.offer_horizon_days,
        gap_hours=params.gap_hours,
    )
    ranker, judged = train_and_judge(
        events,
        attributes=items.attributes,
        content=item_content(spark, params, item_ids=item_ids),
        plan=plan,
        retrieval=model.params,
        params=offers or OfferParams(),
        seed=params.seed,
        threads=params.training_threads,
        beside=beside,
    )
    return SavedModels(save_offer_ranker(params.models_uri, ranker), ranker.facts, judged=judged)


def newest_pairs(spark: SparkSession, params: NightParams, ranker: OfferRanker, *, learned: date) -> LabelledPairs:
    """The newest cut's candidate pairs of the users and in the way that a training judges by. Raises InputError where
    there is no history to look back on.

    learned: as-of of the ranker, whose factors are those of the night. They are used where they know none of the
    labels, else others are learned at the cut.
    """
    model, item_ids, items = load_retrieval(params.models_uri)
    events = training_events(spark, params, item_ids=item_ids) if len(item_ids) else None
    if events is None or not len(events):
        raise InputError("offers: nothing was done with any in the window that models learn from")
    horizon_hours = 24.0 * params.offer_horizon_days
    cut = newest_cut(cut_off=microseconds(params.cut_off), horizon_hours=horizon_hours, gap_hours=params.gap_hours)
    require_history(cut, first=int(events.time.min()), told="look back on from the newest window")
    is_blind = microseconds(midnight(learned, params.timezone)) <= cut.start
    return labelled_pairs(
        events,
        cut,
        attributes=items.attributes,
        content=item_content(spark, params, item_ids=item_ids),
        retrieval=model.params,
        params=OfferParams(candidates=ranker.candidates),
        names=ranker.feature_names,
        negative_share=1.0,
        only_active=False,
        seed=params.seed,
        factors=model.item_factors if is_blind else None,
        threads=params.training_threads,
    )


def item_content(spark: SparkSession, params: NightParams, *, item_ids: Strings) -> ItemContent:
    """Embeddings of the items of an index, their own and their brands'."""
    items = read_table(spark, params.lake, "silver.items").where(F.col(DOMAIN).isin(list(params.offer_domains)))
    brands = read_table(spark, params.lake, "silver.brands")
    return content_of(collected(items.select(*CONTENT_COLUMNS)), collected(brands), item_ids)


def training_events(spark: SparkSession, params: NightParams, *, item_ids: Strings) -> Events:
    """Offer behaviour of a sample of consenting users, in the window before the cut-off."""
    interactions = offer_interactions(read_table(spark, params.lake, "silver.interactions"), params=params)
    sample = sampled(interactions.select(USER_ID).distinct(), spark=spark, params=params)
    events = offer_events(interactions.join(sample, USER_ID, "left_semi"), index_frame(spark, item_ids))
    return events_of(collected(events))


def sampled(users: DataFrame, *, spark: SparkSession, params: NightParams, most: int = SAMPLE_USERS) -> DataFrame:
    """Rows (one a user) of about `most` consenting users, chosen by a hash of user and seed."""
    customers = read_table(spark, params.lake, "silver.customers")
    if not customers.isEmpty():
        known = customers_at(customers, params.as_of)
        users = users.join(known.where("consent_profiling").select(USER_ID), USER_ID, "left_semi")
    share = min(1.0, most / max(users.count(), 1))
    draw = F.pmod(F.xxhash64(USER_ID, F.lit(params.seed)), F.lit(_SAMPLE_STEPS))
    return users.where(draw < int(share * _SAMPLE_STEPS))
