"""Runs the embedded broker for the length of a block."""

from contextlib import AbstractContextManager
from pathlib import Path

from infra.local.embedded import running_server


def running_kafka(folder: Path, *, port: int = 0) -> AbstractContextManager[str]:
    """The address to bootstrap from, such as 127.0.0.1:40123."""
    return running_server("infra.local.kafka", folder, port=port)
