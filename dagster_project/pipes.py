"""What a job tells through Pipes, read once it has ended."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dagster import PipesMessageReader
from dagster._core.pipes.context import PipesMessageHandler
from dagster_pipes import PipesDefaultMessageWriter, PipesParams


class WholeMessages(PipesMessageReader):
    """From a temporary file. Dagster's own reader follows the file while it grows and fails on half a line, of which
    a report of many tables has its share. A line that a killed job left unfinished is no message.
    """

    @contextmanager
    def read_messages(self, handler: PipesMessageHandler) -> Iterator[PipesParams]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "messages"
            path.touch()
            try:
                yield {PipesDefaultMessageWriter.FILE_PATH_KEY: str(path)}
            finally:
                hand_over(path.read_text(encoding="utf-8"), handler)

    def no_messages_debug_text(self) -> str:
        return "Looked for messages in a temporary file once the job had ended."


def hand_over(text: str, handler: PipesMessageHandler) -> None:
    """Every whole line of what a job has told."""
    for line in text.splitlines(keepends=True):
        if line.endswith("\n"):
            handler.handle_message(json.loads(line))
