"""Job `scoring`: the snapshot folder but for its manifest: lists, fallback lists, user_state, items, portraits.

What it writes replaces what a killed attempt left under the same number.
"""

import math
from collections.abc import Mapping

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from data_contracts.columns import PRODUCT_ID, SEGMENT, USER_ID
from data_contracts.night import NightParams
from data_contracts.vocabulary import Tier
from spark_jobs.jobs.runner import JobReport, TableReport, main
from spark_jobs.ranking.offers_night import SAMPLE_USERS
from spark_jobs.scoring import snapshot
from spark_jobs.scoring.fallback import fallback_table, popular_offers, popular_products
from spark_jobs.scoring.inputs import Night, lists_input, open_night, profiled, state_of_users
from spark_jobs.scoring.lists import Ranked
from spark_jobs.scoring.reasons import popular_code
from spark_jobs.scoring.stage import Worth, WorthSum, personal_lists

_USERS_A_PARTITION = 12_500
_FEWEST_PARTITIONS = 4


def run(spark: SparkSession, params: NightParams) -> JobReport:
    night = open_night(spark, params)
    state = _write_state(night)
    listed = profiled(state)
    sizes = {row[SEGMENT]: row["count"] for row in listed.groupBy(SEGMENT).count().collect()}
    worth = _write_lists(night, listed, users=sum(sizes.values()))
    fallback = _write_fallback(night, worth, sizes)
    _write_items_and_portraits(night)
    snapshot.write_documents(params.snapshot_uri, **vars(night.reference))
    return _report(night, users=state.count(), listed=sum(sizes.values()), fallback=fallback)


def _write_state(night: Night) -> DataFrame:
    """Write user_state and give it back as read from there, so that it is made once."""
    rows = state_of_users(night)
    spread = rows.repartition(_partitions(rows.count()), USER_ID).sortWithinPartitions(USER_ID)
    snapshot.write_frame(spread, night.params.snapshot_uri, snapshot.USER_STATE)
    return night.spark.read.parquet(f"{night.params.snapshot_uri}/{snapshot.USER_STATE}")


def _write_lists(night: Night, state: DataFrame, *, users: int) -> Worth:
    context = night.spark.sparkContext
    worth = context.accumulator(Worth.nothing(0, len(night.product_ids)), WorthSum())
    rows = lists_input(night, state, partitions=_partitions(users))
    lists = personal_lists(rows, context.broadcast(night.models), worth)
    snapshot.write_frame(lists, night.params.snapshot_uri, snapshot.LISTS)
    return worth.value


def _write_fallback(night: Night, worth: Worth, sizes: Mapping[int, int]) -> pa.Table:
    products: dict[int | None, Ranked] = {}
    offers: dict[int | None, Ranked] = {}
    if night.models.products is not None:
        models = night.models.products
        products = popular_products(worth, values=models.products.values, policy=models.policy)
    if night.models.offers is not None:
        retrieval = night.models.offers.models.retrieval
        offers = popular_offers(
            retrieval,
            users=sizes,
            most_sampled=SAMPLE_USERS,
            horizon_hours=24.0 * night.params.offer_horizon_days,
            first_code=len(night.product_ids),
        )
    table = fallback_table(products, offers, reason=popular_code(night.reference.reasons))
    snapshot.write_small(table, night.params.snapshot_uri, snapshot.FALLBACK_LISTS)
    return table


def _write_items_and_portraits(night: Night) -> None:
    offers = [] if night.models.offers is None else night.models.offers.models.item_ids.tolist()
    items = snapshot.items_table(night.reference.catalogue, offers)
    snapshot.write_small(items, night.params.snapshot_uri, snapshot.ITEMS)
    names = snapshot.PORTRAITS_SCHEMA.names
    portraits = night.gold("gold.portraits").orderBy(PRODUCT_ID, "feature").select(*names).toPandas()
    table = pa.Table.from_pandas(portraits, schema=snapshot.PORTRAITS_SCHEMA, preserve_index=False)
    snapshot.write_small(table, night.params.snapshot_uri, snapshot.PORTRAITS)


def _partitions(users: int) -> int:
    return max(_FEWEST_PARTITIONS, math.ceil(users / _USERS_A_PARTITION))


def _report(night: Night, *, users: int, listed: int, fallback: pa.Table) -> JobReport:
    tiers = fallback.column("tier").to_pylist()
    absent = [name for name in ("products", "offers") if getattr(night.models, name) is None]
    return JobReport(
        tables={
            "snapshot/personal": TableReport(rows=listed, details={"snapshot_id": night.params.snapshot_id}),
            "snapshot/segment": TableReport(rows=tiers.count(Tier.SEGMENT.value)),
            "snapshot/popular": TableReport(rows=tiers.count(Tier.POPULAR.value)),
            "snapshot/user_state": TableReport(rows=users),
        },
        warnings=tuple(f"no ranker of {name} was trained: the lists hold none" for name in absent),
    )


if __name__ == "__main__":
    main(run)
