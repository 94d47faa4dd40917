"""Job `scoring`: the snapshot folder but for its manifest: lists, the best users of each product, fallback lists,
user_state, items, portraits.

What it writes replaces what a killed attempt left under the same number.
"""

import math

import numpy as np
import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession

from data_contracts.columns import PRODUCT_ID, USER_ID
from data_contracts.night import NightParams
from data_contracts.vocabulary import Tier
from spark_jobs.candidates.strangers import Doubles
from spark_jobs.jobs.runner import JobReport, TableReport, main
from spark_jobs.lake.actions import at_once
from spark_jobs.lake.collect import collected
from spark_jobs.lake.files import write_bytes
from spark_jobs.lake.model_documents import documents_of_snapshot, model_documents
from spark_jobs.lake.snapshot_files import snapshot_before, snapshot_rows
from spark_jobs.lake.tables import rows_written
from spark_jobs.lifecycle.first_scores import first_scores
from spark_jobs.monitoring.label_drift import SINCE_YESTERDAY
from spark_jobs.monitoring.model_scores import SCORES_FILE, NightScores, drift_by_kind, drift_by_product, scores_of
from spark_jobs.monitoring.score_drift import PRODUCT_SCORE_DRIFT, product_rows, score_drift_rows, write_score_drift
from spark_jobs.monitoring.yesterday import KINDS, changes_since, sampled
from spark_jobs.ranking.offers_night import SAMPLE_USERS
from spark_jobs.scoring import snapshot
from spark_jobs.scoring.audience_pool import PoolSize, audience_pool
from spark_jobs.scoring.fallback import fallback_table, popular_offers, popular_products
from spark_jobs.scoring.inputs import Audience, Night, audience, lists_input, open_night, stage_models, state_of_users
from spark_jobs.scoring.lists import Ranked
from spark_jobs.scoring.reasons import Agreement, popular_code
from spark_jobs.scoring.stage import StageModels, Worth, WorthSum, scored
from spark_jobs.scoring.strangers import Seen, night_rates

_USERS_A_PARTITION = 12_500
_FEWEST_PARTITIONS = 4


def run(spark: SparkSession, params: NightParams) -> JobReport:
    night = open_night(spark, params)
    state, models = at_once(lambda: _write_state(night), lambda: stage_models(night))
    users = audience(state)
    worth, rates, _ = at_once(
        lambda: _write_lists(night, models, users),
        lambda: _rates(night, models, users),
        lambda: _write_items_and_portraits(night, models),
    )
    fallback = _write_fallback(night, models, worth, rates, users)
    snapshot.write_documents(params.snapshot_uri, **vars(night.reference))
    _write_drift(spark, params, users=users.users, products=len(night.product_ids))
    return _report(models, users, fallback, worth.agreement, params=params)


def _write_state(night: Night) -> DataFrame:
    """Write user_state and give it back as read from there, so that it is made once."""
    rows = state_of_users(night)
    partitions = _partitions(rows_written(night.params.lake, "gold.user_features"))
    spread = rows.repartition(partitions, USER_ID).sortWithinPartitions(USER_ID)
    snapshot.write_frame(spread, night.params.snapshot_uri, snapshot.USER_STATE)
    return night.spark.read.parquet(f"{night.params.snapshot_uri}/{snapshot.USER_STATE}")


def _write_lists(night: Night, models: StageModels, users: Audience) -> Worth:
    """Lists and, of the same scores, the pool of audiences."""
    context, tasks = night.spark.sparkContext, _partitions(sum(users.profiled.values()))
    worth = context.accumulator(Worth.nothing(0, len(night.product_ids)), WorthSum())
    rows = lists_input(night, models, users.rows, partitions=tasks)
    made = scored(rows, context.broadcast(models), worth, PoolSize(tasks))
    made.rows.persist(StorageLevel.DISK_ONLY)
    snapshot.write_frame(made.lists(), night.params.snapshot_uri, snapshot.LISTS)
    # Before anything that was lost of them is scored, and counted, again.
    counted = worth.value
    snapshot.write_frame(audience_pool(made.pool_parts()), night.params.snapshot_uri, snapshot.AUDIENCE_POOL)
    made.rows.unpersist()
    return counted


def _rates(night: Night, models: StageModels, users: Audience) -> Doubles:
    """What strangers of each segment open; nothing without a ranker of products."""
    if models.products is None:
        return np.empty((0, 0))
    seen = Seen(
        rows=users.rows,
        users=users.profiled,
        product_events=night.silver.product_events,
        features=night.gold("gold.user_features"),
        portraits=night.gold("gold.portraits"),
        products=night.product_ids,
    )
    return night_rates(seen, as_of=night.params.as_of, horizon_days=night.params.product_horizon_days)


def _write_fallback(night: Night, models: StageModels, worth: Worth, rates: Doubles, users: Audience) -> pa.Table:
    products: dict[int | None, Ranked] = {}
    offers: dict[int | None, Ranked] = {}
    if models.products is not None:
        products = popular_products(
            worth, rates=rates, values=models.products.products.values, policy=models.products.policy
        )
    if models.offers is not None:
        offers = popular_offers(
            models.offers.models.retrieval,
            users=users.profiled,
            most_sampled=SAMPLE_USERS,
            horizon_hours=24.0 * night.params.offer_horizon_days,
            first_code=len(night.product_ids),
            blocked=models.offers.is_blocked,
        )
    table = fallback_table(products, offers, reason=popular_code(night.reference.reasons))
    snapshot.write_small(table, night.params.snapshot_uri, snapshot.FALLBACK_LISTS)
    return table


def _write_items_and_portraits(night: Night, models: StageModels) -> None:
    offers = [] if models.offers is None else models.offers.models.item_ids.tolist()
    items = snapshot.items_table(night.reference.catalogue, offers)
    snapshot.write_small(items, night.params.snapshot_uri, snapshot.ITEMS)
    names = snapshot.PORTRAITS_SCHEMA.names
    portraits = collected(night.gold("gold.portraits").select(*names))
    table = portraits.sort_by([(PRODUCT_ID, "ascending"), ("feature", "ascending")])
    snapshot.write_small(table.cast(snapshot.PORTRAITS_SCHEMA), night.params.snapshot_uri, snapshot.PORTRAITS)


def _write_drift(spark: SparkSession, params: NightParams, *, users: int, products: int) -> None:
    """Scores and labels beside the last good snapshot of an earlier date, and beside training."""
    now = sampled(params.snapshot_uri, users=users)
    scores = NightScores(now=scores_of(now, as_of=params.as_of, products=products), then=first_scores(params))
    write_bytes(f"{params.snapshot_uri}/{SCORES_FILE}", scores.model_dump_json().encode())
    changed = changes_since(params.lake, params.as_of, now, users=users)
    rows = score_drift_rows(
        {kind: changed[f"{kind}_score_drift"] for kind in KINDS if f"{kind}_score_drift" in changed},
        drift_by_kind(scores),
        model_documents(params.models_uri),
        documents_of_snapshot(params.lake, snapshot_before(params.lake, params.as_of, *SINCE_YESTERDAY)),
    )
    write_score_drift(spark, params.lake, rows, as_of=params.as_of)
    of_products = product_rows(drift_by_product(scores))
    write_score_drift(spark, params.lake, of_products, as_of=params.as_of, table=PRODUCT_SCORE_DRIFT)


def _partitions(users: int) -> int:
    return max(_FEWEST_PARTITIONS, math.ceil(users / _USERS_A_PARTITION))


def _report(
    models: StageModels, users: Audience, fallback: pa.Table, reasons: Agreement, *, params: NightParams
) -> JobReport:
    tiers = fallback.column("tier").to_pylist()
    absent = [name for name in ("products", "offers") if getattr(models, name) is None]
    made = {one.wanted.variant for one in models.variants}
    unmade = [one.variant.value for one in params.variants if one.variant not in made]
    listed = sum(users.profiled.values())
    told = {"reasons_compared": reasons.compared, "reasons_as_exact": reasons.agreeing} if reasons.compared else {}
    return JobReport(
        tables={
            "personal": TableReport(rows=listed, details={"snapshot_id": params.snapshot_id, **told}),
            "segment": TableReport(rows=tiers.count(Tier.SEGMENT.value)),
            "popular": TableReport(rows=tiers.count(Tier.POPULAR.value)),
            "user_state": TableReport(rows=users.users),
            "audience_pool": TableReport(rows=snapshot_rows(params.snapshot_uri, snapshot.AUDIENCE_POOL)),
        },
        warnings=(
            *(f"no ranker of {name} was trained: the lists hold none" for name in absent),
            *(f"nothing to make lists of {one} with: who should get them gets personal ones" for one in unmade),
        ),
    )


if __name__ == "__main__":
    main(run, writes_tables=False)
