"""The scoring stage in Spark: the same lists however users are partitioned, and worth counted once."""

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession

from data_contracts.columns import USER_ID
from spark_jobs.ranking.user_blocks import user_rows
from spark_jobs.ranking.user_state import user_state
from spark_jobs.scoring.audience_pool import PoolSize, audience_pool
from spark_jobs.scoring.stage import ProductModels, StageModels, Worth, WorthSum, scored
from tests.unit.scoring_samples import CATALOGUE, product_models, users_table

KEPT = 60
Pool = dict[int, list[tuple[int, int]]]  # users and scores by item, best first
PRODUCT_IDS = [product.product_id for product in CATALOGUE.products]


@pytest.fixture(scope="module")
def models() -> ProductModels:
    return product_models()


@pytest.fixture(scope="module")
def rows(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> DataFrame:
    path = tmp_path_factory.mktemp("stage") / "users.parquet"
    pq.write_table(users_table(700), path)
    return spark.read.parquet(str(path))


def _run(spark: SparkSession, rows: DataFrame, models: ProductModels, out: Path) -> tuple[list[dict], Worth, Pool]:
    worth = spark.sparkContext.accumulator(Worth.nothing(0, len(PRODUCT_IDS)), WorthSum())
    size = PoolSize(rows.rdd.getNumPartitions(), fewest=KEPT, spread=4.0)
    made = scored(rows, spark.sparkContext.broadcast(StageModels(models)), worth, size)
    made.rows.persist(StorageLevel.DISK_ONLY)
    made.lists().write.mode("overwrite").parquet(str(out / "lists"))
    pool: Pool = {}
    for row in audience_pool(made.pool_parts(), fewest=KEPT).collect():
        assert (row.variant, row.shortfall) == ("personal", 65_535 - row.score)
        pool.setdefault(row.item, []).append((row.user_id, row.score))
    made.rows.unpersist()
    return ds.dataset(str(out / "lists")).to_table().sort_by(USER_ID).to_pylist(), worth.value, pool


def test_lists_are_the_same_whatever_the_partitions(
    spark: SparkSession, rows: DataFrame, models: ProductModels, tmp_path: Path
) -> None:
    one, worth, pool = _run(spark, rows.coalesce(1), models, tmp_path / "one")
    many, same_worth, same_pool = _run(spark, rows.repartition(5, USER_ID), models, tmp_path / "many")
    assert len(one) == 700
    assert one == many
    assert np.array_equal(worth.worth, same_worth.worth)
    assert worth.users.sum() == 700
    assert pool == same_pool == _best(many)


def _best(lists: list[dict]) -> Pool:
    """By item, from lists that are long enough to hold all that a user may be shown."""
    found: Pool = {}
    for row in lists:
        for item, score in zip(row["product_items"], row["product_scores"], strict=True):
            found.setdefault(item, []).append((row[USER_ID], score))
    return {item: sorted(users, key=lambda one: (-one[1], one[0]))[:KEPT] for item, users in found.items()}


def test_user_state_says_what_is_known_at_the_as_of(spark: SparkSession) -> None:
    users = spark.createDataFrame([(1,), (2,), (3,)], "user_id bigint")
    customers = spark.createDataFrame(
        [
            (1, 1990, 5, 3, "employed", 2, 0, True, False, True, True),
            (2, None, None, None, None, None, None, False, False, False, False),
        ],
        "user_id bigint, birth_year smallint, region smallint, income_band tinyint, employment string,"
        "score_band tinyint, arrears_days smallint, consent_mobile boolean, consent_web boolean,"
        "consent_crm boolean, consent_profiling boolean",
    )
    holdings = spark.createDataFrame(
        [
            (1, "loan_a", date(2026, 1, 1), None),
            (1, "card_a", date(2026, 1, 1), date(2026, 3, 5)),
            (1, "card_b", date(2026, 1, 1), date(2026, 3, 4)),
            (1, "deposit_a", date(2026, 3, 5), None),
            (1, "gone", date(2026, 1, 1), None),
        ],
        "user_id bigint, product_id string, opened_on date, closed_on date",
    )
    segments = spark.createDataFrame([(1, 4)], "user_id bigint, segment smallint")
    as_of = date(2026, 3, 5)
    state = user_state(
        users,
        customers=customers,
        holdings=holdings,
        segments=segments,
        products=PRODUCT_IDS,
        as_of=as_of,
    )
    customer, silent, cold = (row.asDict() for row in state.orderBy(USER_ID).collect())
    assert customer["holdings"] == [PRODUCT_IDS.index("card_a"), PRODUCT_IDS.index("loan_a")]
    assert (customer["income_band"], customer["segment"], customer["consents"]) == (3, 4, 1 + 4 + 8 + 16)
    assert (silent["birth_year"], silent["region"], silent["employment"], silent["consents"]) == (0, -1, "", 16)
    assert (cold["segment"], cold["holdings"], cold["consents"]) == (0, [], 0)


def test_user_rows_bring_state_features_and_pairs_together(spark: SparkSession) -> None:
    state = spark.createDataFrame([(1, 0), (2, 0)], "user_id bigint, segment smallint")
    ddl = "user_id bigint, seen_until bigint, f_a float, f_b float, pair_products binary, pair_signals binary"
    features = spark.createDataFrame([(1, 9, 0.5, None, b"12345678", b"1234")], ddl)
    rows = user_rows(state, features=features).orderBy(USER_ID).collect()
    assert rows[0].asDict() == {
        "user_id": 1,
        "segment": 0,
        "f_a": 0.5,
        "f_b": None,
        "pair_products": b"12345678",
        "pair_signals": b"1234",
    }
    assert rows[1]["pair_products"] is None
