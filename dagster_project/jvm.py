"""The JVM that the Spark jobs of a run share: started for the first of them, ended with the run or a failed job."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from dagster_project.processes import end_session


class SharedJvm:
    """`lock`: the descriptor of the lake's lock, which the JVM's process inherits (see lake_lock)."""

    def __init__(self, *, lake: str, log: Path, lock: int | None) -> None:
        self._lake = lake
        self._log = log
        self._lock = lock
        self._process: subprocess.Popen[bytes] | None = None
        self._variables: Mapping[str, str] = {}

    @property
    def pids(self) -> tuple[int, ...]:
        """The session's leader, while there is one."""
        return () if self._process is None else (self._process.pid,)

    def variables(self) -> Mapping[str, str]:
        """By which a job's PySpark finds it. None at all where it does not start: the job starts one, or says why."""
        if self._process is None:
            self._start()
        return self._variables

    def _start(self) -> None:
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "spark_jobs.lake.jvm", self._lake],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                pass_fds=() if self._lock is None else (self._lock,),
                start_new_session=True,
            )
        self._process = process
        told = process.stdout.readline() if process.stdout else b""
        self._variables = json.loads(told) if told else {}

    def close(self) -> None:
        """No process of it is left."""
        process, self._process, self._variables = self._process, None, {}
        if process is not None:
            end_session(process.pid)
            process.communicate()
