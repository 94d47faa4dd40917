"""Bench `score`: the two-stage kernel inside Spark, from Delta to Parquet, beside the same arithmetic without Spark.

1,000 items, d = 64, the 100 nearest ranked by 300 trees of depth 6 on 60 features, the best 20 kept, 100,000 users.
Reference: two single-threaded Python processes on arrays in memory. Both sides run the same `TwoStageScorer`, in turn,
and the best of each side's rounds counts; the lists must be the very same.
"""

import multiprocessing as mp
import resource
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import xgboost as xgb
from numpy.typing import NDArray
from pyspark.broadcast import Broadcast
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from data_contracts.columns import USER_ID
from data_contracts.errors import RecsError
from infra.bench.figure import Figure
from spark_jobs.lake.session import spark_session
from spark_jobs.ranking.boosting import booster_bytes, booster_from
from spark_jobs.ranking.kernel import F32, I32, TwoStageModel, TwoStageScorer

USERS, FEW_USERS, ITEMS, DIMENSIONS, CANDIDATES, K = 100_000, 10_000, 1_000, 64, 100, 20
USER_FEATURES, ITEM_FEATURES = 30, 28  # and two from retrieval
TREES, DEPTH = 300, 6
BLOCK = 512
FILES = 8
ROUNDS = 3
_LISTS_DDL = f"{USER_ID} bigint, items array<int>, margins array<float>, worker_mb float"


@dataclass(frozen=True)
class Model:
    """What travels to the processes of both sides."""

    vectors: F32
    features: F32
    booster: bytes

    def scorer(self) -> TwoStageScorer:
        booster = booster_from(self.booster)
        return TwoStageScorer(TwoStageModel(self.vectors, self.features, booster, CANDIDATES, K, USER_FEATURES), BLOCK)


@dataclass(frozen=True)
class People:
    """vectors: (users, d); features: (users, user features)."""

    vectors: F32
    features: F32


@dataclass(frozen=True)
class Outcome:
    """Seconds, the lists (users, K), and the largest resident set of a worker."""

    seconds: float
    items: I32
    worker_mb: float = 0.0


def run() -> list[Figure]:
    """Users per second of the Spark stage beside the reference; memory of a worker at 100k users beside 10k."""
    rng = np.random.default_rng(7)
    model, people = _model(rng), _people(rng)
    folder = Path(tempfile.mkdtemp(prefix="bench-score-"))
    spark = spark_session("bench score", master="local[2]", driver_memory="1g")
    try:
        _write_delta(spark, people, folder)
        shared = spark.sparkContext.broadcast(model)
        few = _with_spark(spark, shared, folder, FEW_USERS)  # warms the session as well
        spark_rounds, plain_rounds = [], []
        for _ in range(ROUNDS):
            plain_rounds.append(_without_spark(model, people))
            spark_rounds.append(_with_spark(spark, shared, folder, USERS))
    finally:
        spark.stop()
        shutil.rmtree(folder)
    return _figures(few, spark_rounds, plain_rounds)


def _figures(few: Outcome, spark_rounds: list[Outcome], plain_rounds: list[Outcome]) -> list[Figure]:
    if not all(np.array_equal(outcome.items, plain_rounds[0].items) for outcome in (*spark_rounds, *plain_rounds)):
        raise RecsError("bench score: Spark and the reference made different lists")
    best_spark, best_plain = (min(outcome.seconds for outcome in side) for side in (spark_rounds, plain_rounds))
    note = f"best of {ROUNDS} rounds each, in turn; lists are identical"
    return [
        Figure(
            "users scored, Delta to Parquet",
            USERS / best_spark,
            "users/s",
            reference=USERS / best_plain,
            goal=0.9,
            better="higher",
            goal_on="ratio",
            note=note,
        ),
        Figure(
            "peak memory of a worker, 100k users",
            max(outcome.worker_mb for outcome in spark_rounds),
            "MB",
            reference=few.worker_mb,
            goal=1.1,
            goal_on="ratio",
            note="reference: 10k users",
        ),
    ]


def _model(rng: np.random.Generator) -> Model:
    width = USER_FEATURES + ITEM_FEATURES + 2
    rows = rng.standard_normal((60_000, width), dtype=np.float32)
    odds = rows @ rng.standard_normal(width) / 3 + rows[:, 0] * rows[:, -1]
    labels = (rng.random(len(rows)) < 1 / (1 + np.exp(-odds))).astype(np.float32)
    settings = {"objective": "binary:logistic", "tree_method": "hist", "max_depth": DEPTH, "eta": 0.05, "nthread": 2}
    booster = xgb.train(settings, xgb.QuantileDMatrix(rows, labels), TREES)
    return Model(
        vectors=rng.standard_normal((ITEMS, DIMENSIONS), dtype=np.float32),
        features=rng.standard_normal((ITEMS, ITEM_FEATURES), dtype=np.float32),
        booster=booster_bytes(booster),
    )


def _people(rng: np.random.Generator) -> People:
    return People(
        vectors=rng.standard_normal((USERS, DIMENSIONS), dtype=np.float32),
        features=rng.standard_normal((USERS, USER_FEATURES), dtype=np.float32),
    )


def _write_delta(spark: SparkSession, people: People, folder: Path) -> None:
    """Two tables, of all users and of the first few, in files that two cores share evenly."""
    table = pa.table(
        {
            USER_ID: np.arange(USERS),
            "vector": pa.array(list(map(bytes, people.vectors)), pa.binary()),
            "features": pa.array(list(map(bytes, people.features)), pa.binary()),
        }
    )
    ds.write_dataset(table, folder / "plain", format="parquet")
    for count in (FEW_USERS, USERS):
        chosen = spark.read.parquet(str(folder / "plain")).where(F.col(USER_ID) < count)
        spread = chosen.repartition(FILES, USER_ID).sortWithinPartitions(USER_ID)
        spread.write.format("delta").save(str(folder / f"people-{count}"))


def _with_spark(spark: SparkSession, model: Broadcast[Model], folder: Path, count: int) -> Outcome:
    out = folder / "lists"
    started = time.perf_counter()
    people = spark.read.format("delta").load(str(folder / f"people-{count}"))
    _stage(people, model).write.mode("overwrite").parquet(str(out))
    seconds = time.perf_counter() - started
    lists = ds.dataset(out).to_table().sort_by(USER_ID)
    items = lists.column("items").combine_chunks().flatten().to_numpy().reshape(count, K)
    return Outcome(seconds, items, max(lists.column("worker_mb").to_pylist()))


def _stage(people: DataFrame, model: Broadcast[Model]) -> DataFrame:
    def score(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        scorer = model.value.scorer()
        for batch in batches:
            for first in range(0, batch.num_rows, BLOCK):
                yield _scored(batch.slice(first, BLOCK), scorer)

    return people.mapInArrow(score, _LISTS_DDL)


def _scored(rows: pa.RecordBatch, scorer: TwoStageScorer) -> pa.RecordBatch:
    items, margins = scorer.top(_floats(rows, "vector"), _floats(rows, "features"))
    offsets = np.arange(0, items.size + 1, K, dtype=np.int32)
    worker_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    columns = [
        rows.column(USER_ID),
        pa.ListArray.from_arrays(offsets, items.ravel()),
        pa.ListArray.from_arrays(offsets, margins.ravel()),
        pa.array(np.full(len(items), worker_mb, np.float32)),
    ]
    return pa.RecordBatch.from_arrays(columns, names=[USER_ID, "items", "margins", "worker_mb"])


def _floats(rows: pa.RecordBatch, name: str) -> F32:
    """A column of equally long binaries as a matrix, without a copy."""
    column = rows.column(name)
    _, offsets, data = column.buffers()
    bounds = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    values: NDArray[np.float32] = np.frombuffer(data, np.float32)
    return values[bounds[0] // 4 : bounds[-1] // 4].reshape(len(column), -1)


def _without_spark(model: Model, people: People) -> Outcome:
    """Two processes, each half of the users; the clock starts when both have their data."""
    context = mp.get_context("spawn")
    barrier, answers = context.Barrier(3), context.SimpleQueue()
    halves = [slice(0, USERS // 2), slice(USERS // 2, USERS)]
    processes = [
        context.Process(
            target=_score_half,
            args=(number, model, People(people.vectors[half], people.features[half]), barrier, answers),
        )
        for number, half in enumerate(halves)
    ]
    for process in processes:
        process.start()
    barrier.wait()
    parts = sorted((answers.get() for _ in processes), key=lambda part: int(part[0]))
    for process in processes:
        process.join()
    return Outcome(max(part[1] for part in parts), np.concatenate([part[2] for part in parts]))


def _score_half(
    number: int, model: Model, people: People, barrier: Barrier, answers: "mp.SimpleQueue[tuple[int, float, I32]]"
) -> None:
    scorer = model.scorer()
    items = np.empty((len(people.vectors), K), np.int32)
    scorer.top(people.vectors[:BLOCK], people.features[:BLOCK])
    barrier.wait()
    started = time.perf_counter()
    for first in range(0, len(items), BLOCK):
        block = slice(first, first + BLOCK)
        items[block], _ = scorer.top(people.vectors[block], people.features[block])
    answers.put((number, time.perf_counter() - started, items))
