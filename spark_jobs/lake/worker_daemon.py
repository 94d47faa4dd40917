"""The process that Spark's Python workers are forks of, with what their code needs imported once and not a worker each.

Spark starts it as `python -m` this module (`spark.python.daemon.module`).
"""

import os
from importlib import import_module

from pyspark.daemon import manager

# Modules to import, comma separated: environment of the workers.
IMPORTS = "RECS_WORKER_IMPORTS"

if __name__ == "__main__":
    for name in filter(None, os.environ.get(IMPORTS, "").split(",")):
        import_module(name)
    manager()  # type: ignore[no-untyped-call]
