"""The real Dagster UI on a small world: started as `recs dev` starts it, seen by a real browser, ended whole."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Page

from dagster_project.processes import end_session, session_members
from data_contracts.settings import Settings
from infra.local.embedded import free_port
from infra.stack import environment, services, wait_until_ready

CHROMIUM = shutil.which("chromium")
_READY_SECONDS = 300
_RUN = "{ runsOrError(limit: 1) { ... on Runs { results { runId status } } } }"


@dataclass(frozen=True)
class Ui:
    """The UI of one lake, and the page of a browser on it."""

    page: Page
    url: str
    lake: str

    def open(self, path: str) -> None:
        self.page.goto(f"{self.url}{path}")

    def materialize(self, asset: str, *, night: str) -> str:
        """Click through to a run of one partition of all that the asset's job makes; returns the run's id."""
        before, page = self.newest_run(), self.page
        self.open(f"/assets/{asset}")
        page.get_by_role("button", name="Materialize").first.click()
        page.get_by_role("button", name="Confirm").click()
        page.get_by_text("Show all partitions").click()
        dialog = page.get_by_role("dialog")
        box = dialog.locator("input[type=text], input:not([type])").first
        box.fill(night)
        box.press("Enter")
        dialog.get_by_role("button", name="Launch 1 run").click()
        return self.until(lambda run: run["runId"] != before.get("runId"))["runId"]

    def newest_run(self) -> dict[str, str]:
        answer = self.page.request.post(f"{self.url}/graphql", data={"query": _RUN}).json()
        runs: list[dict[str, str]] = answer["data"]["runsOrError"]["results"]
        return runs[0] if runs else {}

    def until(self, holds: Any) -> dict[str, str]:
        """The newest run once something holds of it."""
        deadline = time.monotonic() + _READY_SECONDS
        while not ((run := self.newest_run()) and holds(run)):
            assert time.monotonic() < deadline, f"waited {_READY_SECONDS} s in vain; the newest run is {run}"
            time.sleep(0.3)
        return run

    def job_processes(self) -> list[psutil.Process]:
        """Every process of the job that runs on this lake: driver, JVM, Python workers; none before it has begun."""
        leaders = [leader for leader in psutil.process_iter() if self._module(leader).startswith("spark_jobs.")]
        if not any(self._module(leader).startswith("spark_jobs.jobs.") for leader in leaders):
            return []
        return [member for leader in leaders for member in session_members(leader.pid)]

    def _module(self, process: psutil.Process) -> str:
        """What Python runs there for this lake; "" for all else."""
        try:
            words = process.cmdline()
        except psutil.NoSuchProcess:
            return ""
        return next((word for word in words if word.startswith("spark_jobs.") and self.lake in words[-1]), "")


@contextmanager
def running_ui(settings: Settings) -> Iterator[str]:
    """The UI's processes for this block; yields its URL."""
    port = free_port()
    settings = settings.model_copy(update={"dagster_port": port})
    (ui,) = (service for service in services(settings, with_dagster=True) if service.name == "dagster")
    log = settings.data_dir / "dagster.log"
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        variables = {**os.environ, **environment(settings)}
        process = subprocess.Popen(
            list(ui.command), env=variables, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            wait_until_ready(ui.ready_url, seconds=_READY_SECONDS)
            yield f"http://127.0.0.1:{port}"
        except Exception as error:
            error.add_note(Path(log).read_text(errors="replace")[-3000:])
            raise
        finally:
            end_session(process.pid)
            process.wait()
