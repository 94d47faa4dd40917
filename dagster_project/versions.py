"""Code versions of assets: a fingerprint of the code that makes them, so that the UI says what a release made stale.

The layers of `spark_jobs` only import downwards, so the code of a job is its main, the layers up to the highest that
it uses, and the contracts.
"""

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_LAYERS = ("lake", "ingest", "features", "candidates", "ranking", "scoring")
# The highest layer of each job; a job that is not named here may use all of them.
_HIGHEST = {"ingest": "ingest", "features": "features", "retrieval": "ranking", "ranking": "ranking"}


@cache
def code_version(job: str) -> str:
    """Twelve hexadecimal digits that change when any file changes that the job may run."""
    digest = hashlib.sha256()
    for path in _files(job):
        digest.update(path.relative_to(_ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def _files(job: str) -> Iterator[Path]:
    layers = _LAYERS[: _LAYERS.index(_HIGHEST.get(job, _LAYERS[-1])) + 1]
    folders = [*(_ROOT / "spark_jobs" / layer for layer in layers), _ROOT / "data_contracts" / "tables"]
    main = _ROOT / "spark_jobs" / "jobs" / f"{job}.py"
    found = [path for folder in folders for path in folder.rglob("*") if path.suffix in {".py", ".yaml"}]
    yield from sorted([*found, *([main] if main.exists() else [])])
