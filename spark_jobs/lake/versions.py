"""Versions of Delta tables, read from the names of their log, without Spark."""

from collections.abc import Iterable

from pyarrow import fs

from spark_jobs.lake.files import file_system
from spark_jobs.lake.tables import table_uri


def delta_versions(lake: str, names: Iterable[str]) -> dict[str, int]:
    """Newest version of each table that was ever written."""
    versions = {name: _newest(f"{table_uri(lake, name)}/_delta_log") for name in names}
    return {name: version for name, version in sorted(versions.items()) if version is not None}


def _newest(log: str) -> int | None:
    system, path = file_system(log)
    infos = system.get_file_info(fs.FileSelector(path, allow_not_found=True))
    commits = [info.base_name.removesuffix(".json") for info in infos if info.base_name.endswith(".json")]
    return max((int(commit) for commit in commits if commit.isdigit()), default=None)
