"""How end-to-end tests run the real command, and what they know of the night it ran."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from watchdog.events import FileSystemEvent, FileSystemEventHandler

USERS, DAYS, HORIZON_DAYS, SEED = 400, 16, 3, 11
LAST_DATE = date(2026, 3, 16)
EXPERIMENTS = Path(__file__).parent / "experiments"
HANGS_AFTER_SECONDS = 1_800


@dataclass(frozen=True)
class Recs:
    """The command `recs` on one data folder."""

    data_dir: Path
    clickhouse_url: str
    registry: str | None = None

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=HANGS_AFTER_SECONDS,
            check=False,
        )

    def command(self, *arguments: str) -> Sequence[str]:
        return [sys.executable, "-m", "infra.cli", *arguments]

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "RECS_DATA_DIR": str(self.data_dir),
            "RECS_CLICKHOUSE_URL": self.clickhouse_url,
            "RECS_SEED": str(SEED),
            "RECS_SPARK_DRIVER_MEMORY": "1g",
            "RECS_EXPERIMENTS": str(EXPERIMENTS),
            "RECS_UPLIFT_USERS": "1",  # a world this small has few who were held out
            "COLUMNS": "200",
            "RECS_MLFLOW_URL": self.registry or f"sqlite:///{self.data_dir / 'mlflow.db'}",
        }

    @property
    def lake(self) -> Path:
        return self.data_dir / "lake"


@dataclass(frozen=True)
class Night:
    """A night that was run: what it printed as JSON, where everything lies, and which files of truth were opened."""

    recs: Recs
    world: Path
    printed: dict[str, Any]
    truth_opened: frozenset[str]

    @property
    def manifest(self) -> dict[str, Any]:
        manifest: dict[str, Any] = self.printed["manifest"]
        return manifest

    @property
    def snapshot(self) -> Path:
        return self.recs.lake / "snapshots" / self.manifest["snapshot_id"]


def night_arguments(world: Path, *more: str) -> Sequence[str]:
    return ["night", "--world", str(world), "--horizon-days", str(HORIZON_DAYS), *more]


class Opened(FileSystemEventHandler):
    """Remembers the names of the files that anybody opened."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def on_opened(self, event: FileSystemEvent) -> None:
        if not event.is_directory:
            self.names.add(Path(str(event.src_path)).name)
