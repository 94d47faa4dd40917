"""`python -m spark_jobs.lake.jvm LAKE`: one JVM for the Spark jobs of a run, one job after another.

Half of a small job is a JVM that loads and compiles Spark; the next job finds that done. Prints one line of JSON, the
environment variables by which PySpark finds it, and lives until its standard input ends. LAKE only tells whose it is.
"""

import json
import sys

from pyspark import SparkConf
from pyspark.java_gateway import launch_gateway

from data_contracts.errors import RecsError
from data_contracts.settings import Settings
from spark_jobs.lake.session import jvm_conf


def main() -> None:
    settings = Settings()
    try:
        conf = jvm_conf(driver_memory=settings.spark_driver_memory, java_options=settings.spark_java_options)
    except RecsError as error:
        sys.exit(f"error: {error}")
    # What the JVM prints goes to the log; standard output is the line's alone.
    gateway = launch_gateway(SparkConf(loadDefaults=False).setAll(list(conf.items())), {"stdout": sys.stderr})  # type: ignore[no-untyped-call]
    at = gateway.gateway_parameters
    told = {"PYSPARK_GATEWAY_PORT": str(at.port), "PYSPARK_GATEWAY_SECRET": at.auth_token}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    gateway.proc.stdin.close()  # which ends it
    gateway.proc.wait()


if __name__ == "__main__":
    main()
