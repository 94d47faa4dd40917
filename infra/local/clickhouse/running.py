"""Runs the embedded ClickHouse for the length of a block."""

from contextlib import AbstractContextManager
from pathlib import Path

from infra.local.embedded import running_server


def running_clickhouse(path: Path, *, port: int = 0) -> AbstractContextManager[str]:
    """The server's URL."""
    return running_server("infra.local.clickhouse", path, port=port)
