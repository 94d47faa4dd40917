"""`spark-submit submitted.py REQUEST.json`: any job of the night, on a cluster.

The request, which lies beside the driver, says which job, with which parameters and variables, and where to put what
the job tells through Pipes, since whoever listens is elsewhere. The Spark session that the job opens is the cluster's.
"""

import json
import os
import runpy
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

PIPES_FILE = "pipes-messages"


class Submission(TypedDict):
    """`messages`: URI of the file to write. `variables`: of the environment, among them those of Pipes."""

    job: str
    params: str
    messages: str
    variables: Mapping[str, str]


def main() -> None:
    request: Submission = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    os.environ.update(request["variables"])
    Path(PIPES_FILE).touch()
    module = f"spark_jobs.jobs.{request['job']}"
    sys.argv = [module, request["params"]]
    try:
        runpy.run_module(module, run_name="__main__")
    finally:
        from spark_jobs.lake.files import write_bytes  # noqa: PLC0415 (after the variables that say where S3 is)

        write_bytes(request["messages"], Path(PIPES_FILE).read_bytes())


if __name__ == "__main__":
    main()
