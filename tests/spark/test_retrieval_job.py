"""Offer tables, the retrieval job and offer training on a small lake: the same numbers as in memory."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from data_contracts.errors import InputError
from data_contracts.models import NightModels
from data_contracts.night import NightParams, Sources
from data_contracts.quality import NightQuality
from data_contracts.vocabulary import Domain
from spark_jobs.candidates.als import fold_in
from spark_jobs.features.history import ACTION_CODES, Events, UserHistory, build_history
from spark_jobs.features.item_features import item_features, item_sums
from spark_jobs.features.offer_tables import history_of, microseconds, vectors_of, write_offer_tables
from spark_jobs.jobs import ranking, retrieval
from spark_jobs.lake.model_documents import model_documents
from spark_jobs.lake.tables import read_table, write_table
from spark_jobs.lifecycle import night as life
from spark_jobs.lifecycle.files import night_models
from spark_jobs.ranking.offers import rank_offers
from spark_jobs.ranking.offers_night import aligned, train_offer_models
from spark_jobs.ranking.offers_store import load_offer_models, load_retrieval
from tests.unit.offer_events import offer_events

AS_OF = date(2026, 3, 5)
DAYS = 4
_ACTIONS = {code: action.value for action, code in ACTION_CODES.items()}


def params(lake: str) -> NightParams:
    return NightParams(as_of=AS_OF, lake=lake, sources=Sources(tecd="unused"), offer_domains=(Domain.OFFERS,))


def local(events: Events, night: NightParams) -> Events:
    """The same events on the night's clock, the last one a moment before its cut-off; items met get dense codes."""
    start = microseconds(night.cut_off) - DAYS * 86_400_000_000
    codes = np.unique(events.item_code, return_inverse=True)[1].astype(np.int32)
    return Events(events.user_id, codes, events.action, events.time + start, events.weight)


def interactions(spark: SparkSession, events: Events, *, domain: str = "offers") -> DataFrame:
    rows = [
        (
            int(user),
            f"offer_{code:02}",
            domain,
            _ACTIONS[int(action)],
            moment,
            1.0,
            (moment + timedelta(hours=3)).date(),
        )
        for user, code, action, moment in zip(
            events.user_id, events.item_code, events.action, map(_moment, events.time), strict=True
        )
    ]
    return spark.createDataFrame(
        rows, "user_id long, item_id string, domain string, action string, event_time timestamp, weight float, day date"
    )


def _moment(time: int) -> datetime:
    return datetime.fromtimestamp(int(time) / 1e6, UTC)


@dataclass(frozen=True)
class Made:
    """A lake after the features' part for offers, the retrieval job and offer training; what these two left."""

    night: NightParams
    retrieval: Mapping[str, str]
    offers: Mapping[str, str]


@pytest.fixture(scope="module")
def made(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Made:
    night = params(str(tmp_path_factory.mktemp("lake")))
    own = interactions(spark, local(offer_events(days=DAYS), night))
    other = interactions(spark, local(offer_events(days=DAYS, seed=8), night), domain="retail")
    write_table(own.union(other), night.lake, "silver.interactions")
    offer_tables(spark, night)
    return Made(night, digests(spark, night), train_offer_models(spark, night).files)


@pytest.fixture(scope="module")
def night(made: Made) -> NightParams:
    return made.night


def digests(spark: SparkSession, night: NightParams) -> Mapping[str, str]:
    """Of the files that the retrieval job leaves."""
    told: Mapping[str, str] = retrieval.run(spark, night).tables["retrieval_model"].details["sha256"]
    return told


def elsewhere(night: NightParams, folder: Path) -> NightParams:
    """The same night on a lake of its own."""
    return night.model_copy(update={"lake": shutil.copytree(night.lake, str(folder / "lake"))})


def offer_tables(spark: SparkSession, night: NightParams) -> None:
    """As of a first night, which folds every day there is."""
    write_offer_tables(spark, night, base=None, first=night.as_of - timedelta(days=DAYS + 1), partitions=2)


def in_memory(night: NightParams) -> UserHistory:
    return build_history(local(offer_events(days=DAYS), night), as_of=microseconds(night.cut_off))


def collected(spark: SparkSession, night: NightParams, name: str) -> pa.Table:
    return pa.Table.from_pandas(read_table(spark, night.lake, name).orderBy("user_id").toPandas())


def test_spark_writes_the_histories_that_memory_has(spark: SparkSession, night: NightParams) -> None:
    written, expected = history_of(collected(spark, night, "gold.user_history")), in_memory(night)
    for name in ("user_ids", "indptr", "item_code"):
        np.testing.assert_array_equal(getattr(written, name), getattr(expected, name))
    np.testing.assert_allclose(written.stats, expected.stats, rtol=1e-5, atol=1e-4)


def test_spark_writes_the_item_features_that_memory_has(spark: SparkSession, night: NightParams) -> None:
    _, item_ids, items = load_retrieval(night.models_uri)
    expected = item_features(item_sums(in_memory(night), n_items=len(item_ids)), attributes=items.attributes)
    assert item_ids.tolist() == sorted(item_ids.tolist())
    np.testing.assert_allclose(items.values, expected.values, rtol=1e-4, atol=1e-4)


def test_every_user_is_folded_in(spark: SparkSession, night: NightParams) -> None:
    model, _, _ = load_retrieval(night.models_uri)
    rows = collected(spark, night, "gold.user_vectors")
    history = in_memory(night)
    assert rows.column("user_id").to_pylist() == history.user_ids.tolist()
    expected = fold_in(history, item_factors=model.item_factors, params=model.params)
    vectors = vectors_of(rows, factors=model.item_factors.shape[1])
    np.testing.assert_allclose(vectors, expected, rtol=1e-3, atol=1e-5)


def test_the_saved_models_rank_offers_for_everybody(spark: SparkSession, night: NightParams) -> None:
    models = load_offer_models(night.models_uri)
    history = history_of(collected(spark, night, "gold.user_history"))
    ranked = rank_offers(history, models, k=10)
    assert (ranked.codes[:, :5] >= 0).all()
    assert models.ranker.facts["calibration_positives"] > 0


def test_running_again_leaves_the_same_models(spark: SparkSession, made: Made) -> None:
    assert digests(spark, made.night) == made.retrieval
    assert train_offer_models(spark, made.night).files == made.offers


@pytest.fixture
def scored(spark: SparkSession, night: NightParams, registry_url: str) -> NightParams:
    """The night after one that trained a first champion of offers; it trains nothing."""
    first = night.model_copy(update={"registry": registry_url, "train": "always"})
    retrieval.run(spark, first)
    ranking.run(spark, first)
    second = first.model_copy(update={"as_of": AS_OF + timedelta(days=1), "train": "never"})
    offer_tables(spark, second)
    return second


def test_a_night_that_trains_nothing_scores_with_the_champion(
    spark: SparkSession, night: NightParams, scored: NightParams
) -> None:
    retrieval.run(spark, scored)
    report = ranking.run(spark, scored).tables["ranker"].details
    assert (report["trained"], report["offers_model"]) == (False, f"champion version 1 of {AS_OF}")
    trained, champion = load_offer_models(night.models_uri), load_offer_models(scored.models_uri)
    np.testing.assert_array_equal(champion.retrieval.item_factors, trained.retrieval.item_factors)
    fared = NightQuality.of(model_documents(scored.models_uri)).rankers["offers"]
    assert (fared.model, fared.end) == (f"version 1 of {AS_OF}", scored.cut_off)
    assert fared.cases > fared.positives == 0  # its newest day brought nothing, whatever the training had seen
    assert trained.ranker.facts["calibration_positives"] > 0
    tonight = read_table(spark, scored.lake, "gold.user_vectors").where(f"as_of = '{scored.as_of}'")
    assert tonight.count() == len(in_memory(night))
    assert not known_plan(scored).train

    with pytest.raises(InputError, match="its horizon_days is 1, the night's is 2"):
        retrieval.run(spark, scored.model_copy(update={"offer_horizon_days": 2}))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(life, "GROUPS", life.GROUPS[1:])
        with pytest.raises(InputError, match="its feature list is another one"):
            retrieval.run(spark, scored)
    Path(known_plan(scored).used["offers"].uri, "offers", "booster-0.ubj").write_bytes(b"?")
    with pytest.raises(InputError, match=r"booster-0\.ubj is not the file that was registered"):
        retrieval.run(spark, scored)


def known_plan(night: NightParams) -> NightModels:
    plan = night_models(night)
    assert plan is not None
    assert plan.used["offers"].version == 1
    return plan


def test_factors_follow_their_items_into_another_index() -> None:
    known = aligned(np.array([[1.0], [2.0]], np.float32), np.array(["b", "d"]), np.array(["a", "b", "c", "d", "e"]))
    assert known.ravel().tolist() == [0, 1, 0, 2, 0]
    assert not aligned(np.empty((0, 1), np.float32), np.empty(0, np.str_), np.array(["a"])).any()


def test_who_did_not_consent_is_not_trained_on(spark: SparkSession, night: NightParams, tmp_path: Path) -> None:
    strict = elsewhere(night, tmp_path)
    customers = spark.createDataFrame(
        [(user, user % 2 == 1) for user in range(1, 61)], "user_id long, consent_profiling boolean"
    )
    write_table(_customers(customers), strict.lake, "silver.customers")
    retrieval.run(spark, strict)
    model, item_ids, _ = load_retrieval(strict.models_uri)
    assert len(item_ids) > 30
    assert (model.popular[model.popular >= 0] >= 20).all()  # odd users like the second half


def test_a_history_of_a_day_is_refused_with_what_is_missing(
    spark: SparkSession, night: NightParams, tmp_path: Path
) -> None:
    short = elsewhere(night, tmp_path)
    events = local(offer_events(days=DAYS), short)
    last_day = events.between(microseconds(short.cut_off) - 86_400_000_000, microseconds(short.cut_off))
    write_table(interactions(spark, last_day), short.lake, "silver.interactions")
    with pytest.raises(InputError, match="days too short"):
        train_offer_models(spark, short)


def test_a_lake_without_offers_ranks_none_and_says_so(spark: SparkSession, tmp_path: Path) -> None:
    empty = params(str(tmp_path))
    offer_tables(spark, empty)
    assert retrieval.run(spark, empty).tables["retrieval_model"].rows == 0
    saved = train_offer_models(spark, empty)
    assert not saved.files
    assert "no offers are ranked" in saved.warnings[0]


def _customers(known: DataFrame) -> DataFrame:
    return known.selectExpr(
        "user_id",
        "cast(null as smallint) birth_year",
        "cast(null as smallint) region",
        "cast(null as tinyint) income_band",
        "cast(null as string) employment",
        "cast(null as string) lifecycle_stage",
        "true consent_mobile",
        "true consent_web",
        "true consent_crm",
        "consent_profiling",
        "cast(null as tinyint) score_band",
        "cast(null as double) credit_limit",
        "cast(null as smallint) arrears_days",
        "date'2026-03-04' valid_from",
        "cast(null as date) valid_to",
    )
