"""`python -m spark_jobs.jobs.host LAKE`: the jobs of a run, one after another, as forks of this process, in one JVM.

Most of a small job is a JVM that loads and compiles Spark and a Python that imports pandas and its like; the next job
finds both done. Each line of standard input is a `Request`; the answers, lines of JSON, are its process id at once and
its exit code when it has ended. With its standard input everything ends. LAKE only tells whose it is.
"""

import gc
import json
import os
import runpy
import select
import signal
import sys
import traceback
import warnings
from collections.abc import Mapping
from importlib import import_module
from threading import Thread
from typing import Any, TypedDict

from pyspark import SparkConf
from pyspark.errors import PySparkRuntimeError
from pyspark.java_gateway import launch_gateway

from data_contracts.errors import RecsError
from data_contracts.settings import Settings
from spark_jobs.lake.session import jvm_conf

# What the first job needs, imported while the JVM starts; and what later ones do, imported beside the first.
_FIRST = ("spark_jobs.lake.great_expectations", "spark_jobs.jobs.ingest")
_AHEAD = tuple(f"spark_jobs.jobs.{job}" for job in ("features", "retrieval", "ranking", "scoring", "seal", "report"))
_CHUNK = 1 << 16


class Request(TypedDict):
    """A job's module below spark_jobs.jobs, its parameters as JSON, its whole environment, and the file of its log."""

    job: str
    params: str
    variables: Mapping[str, str]
    log: str


def main() -> None:
    jvm = _Jvm()
    for name in _FIRST:
        import_module(name)
    pending = b""
    while chunk := os.read(sys.stdin.fileno(), _CHUNK):
        pending += chunk
        while b"\n" in pending:
            line, pending = pending.split(b"\n", 1)
            request: Request = json.loads(line)
            import_module(_module(request))
            if not _serve(request, jvm.variables()):
                return jvm.close()
    return jvm.close()


class _Jvm:
    """Starts at once, beside this process's imports. Without one, as where jars are missing, a job starts its own or
    says why it cannot.
    """

    def __init__(self) -> None:
        self._gateway: Any | None = None
        self._start = Thread(target=self._launch)
        self._start.start()

    def _launch(self) -> None:
        settings = Settings()
        try:
            conf = jvm_conf(driver_memory=settings.spark_driver_memory, java_options=settings.spark_java_options)
            # What the JVM prints goes to the log; standard output is for answers.
            self._gateway = launch_gateway(  # type: ignore[no-untyped-call]
                SparkConf(loadDefaults=False).setAll(list(conf.items())), {"stdout": sys.stderr}
            )
        except (RecsError, PySparkRuntimeError) as error:
            sys.stderr.write(f"error: {error}\n")

    def variables(self) -> Mapping[str, str]:
        """By which a job's PySpark finds it. No thread of its start is left."""
        self._start.join()
        if self._gateway is None:
            return {}
        at = self._gateway.gateway_parameters
        return {"PYSPARK_GATEWAY_PORT": str(at.port), "PYSPARK_GATEWAY_SECRET": at.auth_token}

    def close(self) -> None:
        self._start.join()
        if self._gateway is not None:
            self._gateway.proc.stdin.close()  # which ends it
            self._gateway.proc.wait()


def _module(request: Request) -> str:
    return f"spark_jobs.jobs.{request['job']}"


def _serve(request: Request, variables: Mapping[str, str]) -> bool:
    """Run one job to its end. False where standard input ended meanwhile: the job is told to end too."""
    gc.collect()
    gc.freeze()  # what is here now stays shared, and its finalizers are not the job's business
    pid = os.fork()
    if pid == 0:
        os._exit(_run(request, variables))
    _answer({"pid": pid})
    ended = os.pidfd_open(pid)
    for name in _AHEAD:
        if not select.select([ended], [], [], 0)[0]:
            import_module(name)
    ready, _, _ = select.select([ended, sys.stdin.fileno()], [], [])
    os.close(ended)
    is_alone = ended not in ready  # nobody asks while a job runs: standard input has ended
    if is_alone:
        os.kill(pid, signal.SIGTERM)
    _, status = os.waitpid(pid, 0)
    if not is_alone:
        _answer({"code": os.waitstatus_to_exitcode(status)})
    return not is_alone


def _answer(told: Mapping[str, int]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def _run(request: Request, variables: Mapping[str, str]) -> int:
    """The forked process: a session of its own, as a job started by hand would be. Returns the exit code."""
    os.setsid()
    _redirect(request["log"])
    os.environ.clear()
    os.environ.update({**request["variables"], **variables})
    module = _module(request)
    sys.argv = [module, request["params"]]
    code = 0
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=RuntimeWarning, module="runpy")  # imported ahead: on purpose
            runpy.run_module(module, run_name="__main__")
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _redirect(log: str) -> None:
    """Standard input from nowhere, output and errors to the job's log."""
    nothing, output = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for target, source in ((0, nothing), (1, output), (2, output)):
        os.dup2(source, target)


if __name__ == "__main__":
    main()
