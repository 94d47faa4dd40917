"""The SparkRunner of production: the night's jobs on a Data Proc cluster, which ends with the night."""

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import PipesEnvContextInjector, PipesMessageReader
from dagster._core.pipes.context import PipesMessageHandler
from dagster_pipes import PipesDefaultMessageWriter, PipesParams
from pyarrow import fs
from yandex.cloud.dataproc.v1.job_pb2 import Job, PysparkJob

from dagster_project.dataproc.api import CloudApi
from dagster_project.dataproc.clusters import Clusters
from dagster_project.dataproc.errors import ApiError, ClusterLostError, storage_error
from dagster_project.dataproc.jobs import JobName, Jobs
from dagster_project.dataproc.packages import Packages, upload
from dagster_project.dataproc.plan import read_plan
from dagster_project.files import file_system, read_bytes, write_bytes
from dagster_project.outcomes import job_log, outcome
from dagster_project.pipes import hand_over
from data_contracts.errors import InputError, RecsError
from data_contracts.night import NightParams
from data_contracts.settings import Settings

_REQUEST = "request.json"
# What a job reads of its environment; passwords and tokens of the day are not among them.
_SECRET = {"RECS_IDENTITY_KEY"}
_OURS = ("AWS_", "RECS_")
_LOCAL_FILES = {"AWS_CA_BUNDLE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE"}
_CLUSTER = {"RECS_SPARK_MASTER": "submitted", "GX_ANALYTICS_ENABLED": "false"}
_PYTHON_PATH = "./project:./environment"
_PROPERTIES = {
    "spark.submit.deployMode": "cluster",
    "spark.yarn.maxAppAttempts": "1",  # a job that is to run again is submitted again
    "spark.yarn.appMasterEnv.PYTHONPATH": _PYTHON_PATH,
    "spark.executorEnv.PYTHONPATH": _PYTHON_PATH,
}
_log = logging.getLogger(__name__)


class DataprocSparkRunner:
    """Starts its cluster with its first job, or uses the standing one, and deletes what it started when closed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        if not settings.lake_uri.startswith(("s3a://", "s3://")):
            raise InputError(f"the lake {settings.lake_uri} is not one that a cluster sees: set RECS_LAKE=s3a://…")
        if settings.mlflow_url is None:
            raise InputError("a registry in the data folder is not one that a cluster sees: set RECS_MLFLOW_URL")
        self._plan = read_plan(settings.dataproc)
        self._api = CloudApi(self._plan, token=settings.dataproc_token.get_secret_value())
        self._clusters = Clusters(self._api, self._plan)
        self._lake = short(settings.lake_uri)
        self._night: str | None = None
        self._cluster_id: str | None = None
        self._packages: Packages | None = None

    @classmethod
    @contextmanager
    def running(cls, settings: Settings) -> Iterator["DataprocSparkRunner"]:
        """One whose cluster ends with the block."""
        runner = cls(settings)
        try:
            yield runner
        finally:
            runner.close()

    def close(self) -> None:
        """Delete the night's own cluster. Where that fails the sensor does it, and the log says so."""
        if self._night is None or self._plan.standing_cluster_id is not None:
            return
        try:
            self._clusters.release(lake=self._lake, night=self._night)
        except RecsError as error:
            _log.error("the night's cluster may be left: %s", error)
        self._cluster_id = None

    def run(self, context: dg.AssetExecutionContext, *, job: str, params: NightParams) -> Mapping[str, Any]:
        try:
            return self._run(context, job=job, params=params)
        except OSError as error:
            raise storage_error(error) from error

    def _run(self, context: dg.AssetExecutionContext, *, job: str, params: NightParams) -> Mapping[str, Any]:
        log = job_log(self._settings.data_dir / "logs", context, job)
        night = context.run.root_run_id or context.run.run_id
        cluster_id = self._cluster(night)
        context.log.info(f"job {job} runs on cluster {cluster_id} and writes its log to {log}")
        name = JobName(self._lake, short(night), job, short(params.model_dump_json()))
        task = _Task(
            name, f"{self._folder}/jobs/{name.stem}{short(cluster_id)}", Jobs(self._api, self._plan, cluster_id)
        )
        with dg.open_pipes_session(context, PipesEnvContextInjector(), _Stored(task.messages)) as session:
            request = _request(job, params, task, session.get_bootstrap_env_vars())
            try:
                ended = self._followed(context, task, request, log)
            except ApiError:
                raise  # the job goes on, and what it tells is taken by who finds it
            except BaseException:
                _forget(task.folder)
                raise
        try:
            return outcome(session.get_custom_messages(), job=job, code=int(ended.status != Job.DONE), log=log)
        finally:
            _forget(task.folder)

    def _followed(self, context: dg.AssetExecutionContext, task: "_Task", request: bytes, log: Path) -> Any:
        """The job at its end. Raises ClusterLostError where that was its cluster's."""
        cluster_id = task.jobs.cluster_id
        try:
            job_id = self._found_or_submitted(context, task, request)
            ended = task.jobs.follow(job_id, on_output=partial(_hand_on, context, log))
        except RecsError as error:
            self._drop_if_lost(cluster_id, error)
            raise
        if ended.status != Job.DONE and not _exists(task.messages):
            self._drop_if_lost(cluster_id, None)
        return ended

    @property
    def _folder(self) -> str:
        return f"s3a://{self._plan.bucket}/recs"

    def _cluster(self, night: str) -> str:
        if self._plan.standing_cluster_id is not None:
            return self._plan.standing_cluster_id
        if self._cluster_id is None:
            self._night = night
            self._cluster_id = self._clusters.ensure(lake=self._lake, night=night)
        return self._cluster_id

    def _found_or_submitted(self, context: dg.AssetExecutionContext, task: "_Task", request: bytes) -> str:
        """The id of the job: one that a run before this one began, or whose report nobody has taken, or a new one."""
        newest, count = task.jobs.newest(task.name)
        if newest is not None and _may_be_taken(newest, task):
            context.log.info(f"job {newest.name} is there already ({Job.Status.Name(newest.status)}): going on with it")
            return str(newest.id)
        _forget(task.folder)
        write_bytes(f"{task.folder}/{_REQUEST}", request)
        return task.jobs.submit(task.name.number(count + 1), self._pyspark(task.folder))

    def _drop_if_lost(self, cluster_id: str, error: RecsError | None) -> None:
        """Let the next try have a new cluster where this one is lost. Raises ClusterLostError."""
        nobody_knows = isinstance(error, ApiError)
        if nobody_knows or not (isinstance(error, ClusterLostError) or self._clusters.is_lost(cluster_id)):
            return
        self.close()
        raise ClusterLostError(
            f"cluster {cluster_id} was preempted, stopped or deleted under the job: it is tried again on a new one; "
            "where this comes often, use fewer preemptible hosts"
        ) from error

    def _pyspark(self, folder: str) -> PysparkJob:
        packages = self._packages = self._packages or upload(f"{self._folder}/packages")
        return PysparkJob(
            main_python_file_uri=packages.main,
            args=[_REQUEST],
            file_uris=[f"{folder}/{_REQUEST}"],
            jar_file_uris=packages.jars,
            archive_uris=[f"{packages.project}#project", f"{packages.environment}#environment"],
            properties={**_PROPERTIES, **self._plan.properties},
        )


@dataclass(frozen=True)
class _Task:
    """A job of the night on its cluster, and the folder of its request and its messages."""

    name: JobName
    folder: str
    jobs: Jobs

    @property
    def messages(self) -> str:
        return f"{self.folder}/messages"


class _Stored(PipesMessageReader):
    """Messages that a job has put into a file in Object Storage when it ended."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    @contextmanager
    def read_messages(self, handler: PipesMessageHandler) -> Iterator[PipesParams]:
        try:
            yield {PipesDefaultMessageWriter.FILE_PATH_KEY: "pipes-messages"}
        finally:
            if _exists(self._uri):
                hand_over(read_bytes(self._uri).decode(), handler)

    def no_messages_debug_text(self) -> str:
        return f"Looked for messages in {self._uri} once the job had ended."


def _request(job: str, params: NightParams, task: _Task, pipes: Mapping[str, str]) -> bytes:
    document = {
        "job": job,
        "params": params.model_dump_json(),
        "messages": task.messages,
        "variables": {**job_variables(os.environ), **pipes, **_CLUSTER},
    }
    return json.dumps(document).encode()


def _hand_on(context: dg.AssetExecutionContext, log: Path, text: str) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write(text)
    context.log.info(text)


def job_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Of ours, without the secrets that only the day needs and the files and folders of this machine."""
    withheld = (_variables_of("Secret") - _SECRET) | _variables_of("Path") | _LOCAL_FILES
    return {name: value for name, value in environment.items() if name.startswith(_OURS) and name not in withheld}


def _variables_of(kind: str) -> set[str]:
    """Variables of the settings whose type says so."""
    return {f"RECS_{name.upper()}" for name, field in Settings.model_fields.items() if kind in str(field.annotation)}


def _may_be_taken(job: Any, task: _Task) -> bool:
    """Still at work; or ended while nobody listened, so that its report is still there."""
    if job.status == Job.DONE:
        return _exists(task.messages)
    return job.status not in {Job.ERROR, Job.CANCELLED, Job.CANCELLING}


def _exists(uri: str) -> bool:
    system, path = file_system(uri)
    return bool(system.get_file_info(path).type == fs.FileType.File)


def _forget(folder: str) -> None:
    """Request and messages of a job whose report was taken: the request holds keys."""
    system, path = file_system(folder)
    if system.get_file_info(path).type == fs.FileType.Directory:
        system.delete_dir(path)


def short(text: str) -> str:
    """Eight hexadecimal digits that stand for a text in a name."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]
