"""Job `retrieval`: learn the candidate sources on a sample of users, and fold every user into the factor space."""

import hashlib
from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from data_contracts.columns import AS_OF, USER_ID
from data_contracts.night import NightParams
from spark_jobs.candidates.als import fold_in
from spark_jobs.features.offer_tables import HISTORY, history_of, vector_batch
from spark_jobs.jobs.runner import JobReport, TableReport, main
from spark_jobs.lake.tables import read_table, rows_written, write_table
from spark_jobs.ranking.offers_night import train_retrieval_models

VECTORS = "gold.user_vectors"


def run(spark: SparkSession, params: NightParams) -> JobReport:
    model, saved = train_retrieval_models(spark, params)
    learned = spark.sparkContext.broadcast((model.item_factors, model.params))

    def fold(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        item_factors, retrieval = learned.value
        for batch in batches:
            history = history_of(batch)
            yield vector_batch(history.user_ids, fold_in(history, item_factors=item_factors, params=retrieval))

    histories = read_table(spark, params.lake, HISTORY).where(F.col(AS_OF) == F.lit(params.as_of))
    vectors = histories.mapInArrow(fold, f"{USER_ID} bigint, vector binary").withColumn(AS_OF, F.lit(params.as_of))
    version = write_table(vectors, params.lake, VECTORS, partitions=[params.as_of])
    return JobReport(
        tables={
            "retrieval_model": TableReport(
                rows=model.n_items,
                fingerprint=hashlib.sha256(repr(sorted(saved.files.items())).encode()).hexdigest(),
                details={**saved.facts, "sha256": dict(saved.files)},
            ),
            VECTORS: TableReport(rows=rows_written(params.lake, VECTORS), version=version),
        },
        warnings=saved.warnings,
    )


if __name__ == "__main__":
    main(run)
