"""The process that the jobs of a run are forks of, with the JVM that they share: ended with the run or a failed job."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, cast

from dagster_project.processes import Memory, end_session, measured


class JobHost:
    """Starts with its first job, where not before. `lock`: the descriptor of the lake's lock, which it and its jobs
    inherit (see lake_lock).
    """

    def __init__(self, *, lake: str, log: Path, lock: int | None) -> None:
        self._lake = lake
        self._log = log
        self._lock = lock
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The leader of its session, which its JVM is in; None while there is none."""
        return None if self._process is None else self._process.pid

    def run(self, job: str, params: str, *, variables: Mapping[str, str], log: Path) -> tuple[int, Memory]:
        """Exit code and memory of a job. However this ends, cancelled too, no process of the job is left.

        variables: what the job's environment has beside this process's own.
        """
        process = self.start()
        request = {"job": job, "params": params, "variables": {**os.environ, **variables}, "log": str(log)}
        code, pid, memory = None, None, Memory()
        try:
            pid = _asked(process, request).get("pid", process.pid)
            with measured(pid, process.pid) as memory:
                code = _answer(process).get("code", 1)
        finally:
            if pid is not None:
                end_session(pid)
            if code != 0:  # who knows what it left running there
                self.close()
        return code, memory

    def start(self) -> subprocess.Popen[bytes]:
        """The host, which loads and starts what every job needs while nobody asks; the one that runs, if one does."""
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "spark_jobs.jobs.host", self._lake],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                pass_fds=() if self._lock is None else (self._lock,),
                start_new_session=True,
            )
        return self._process

    def close(self) -> None:
        """No process of it is left."""
        process, self._process = self._process, None
        if process is not None:
            end_session(process.pid)
            process.communicate()


def _asked(host: subprocess.Popen[bytes], request: Mapping[str, object]) -> dict[str, int]:
    requests = cast("IO[bytes]", host.stdin)
    requests.write(json.dumps(request).encode() + b"\n")
    requests.flush()
    return _answer(host)


def _answer(host: subprocess.Popen[bytes]) -> dict[str, int]:
    """Its next one; none from a host that has died."""
    line = cast("IO[bytes]", host.stdout).readline()
    return json.loads(line) if line else {}
