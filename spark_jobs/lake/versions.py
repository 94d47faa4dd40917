"""Versions of Delta tables, read from the names of their log, without Spark."""

from collections.abc import Iterable

from spark_jobs.lake.commits import newest_version
from spark_jobs.lake.tables import table_uri


def delta_versions(lake: str, names: Iterable[str]) -> dict[str, int]:
    """Newest version of each table that was ever written."""
    versions = {name: newest_version(table_uri(lake, name)) for name in names}
    return {name: version for name, version in sorted(versions.items()) if version is not None}
