"""What a data engineer does in the Dagster UI: find an asset, make one night of it, read its checks, stop a run."""

import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from dagster_project.definitions import night_assets
from dagster_project.processes import is_alive, program
from data_contracts.settings import Settings
from infra.local.world import generate
from tests.e2e.dagster_ui import CHROMIUM, Ui, running_ui

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")
_NIGHT = "2026-03-16"


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    folder = tmp_path_factory.mktemp("ui")
    world = folder / "world"
    generate(world, users=60, days=4, seed=11, last_date=date.fromisoformat(_NIGHT), horizon_days=3)
    settings = _settings(folder / "data", world)
    with running_ui(settings) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        # So high that a list of all assets is drawn whole.
        page = browser.new_page(viewport={"width": 1600, "height": 4000})
        page.set_default_timeout(120_000)
        expect.set_options(timeout=120_000)
        yield Ui(page, url, settings.lake_uri)
        browser.close()


def _settings(folder: Path, world: Path) -> Settings:
    sources = {name: str(world / name) for name in ("tecd", "dwh", "events", "reference")}
    return Settings(data_dir=folder, spark_driver_memory="1g", product_horizon_days=3, **sources)  # type: ignore[arg-type]


def test_every_asset_is_found_in_the_catalogue(ui: Ui) -> None:
    ui.open("/assets")
    names = {key.to_user_string() for asset in night_assets(Settings()) for key in asset.keys}
    for name in sorted(names):
        expect(ui.page.locator(f"a[href='/assets/{name}']").first).to_be_visible()


def test_a_night_of_a_table_is_made_by_clicking_and_its_numbers_and_checks_are_read(ui: Ui) -> None:
    run = ui.materialize("silver/interactions", night=_NIGHT)
    ended = ui.until(lambda newest: newest["status"] in {"SUCCESS", "FAILURE", "CANCELED"})
    assert ended == {"runId": run, "status": "SUCCESS"}

    ui.open("/assets/silver/interactions?view=events")
    for number in ("rows", "read", "bytes", "quarantined", "job_seconds", "job_peak_mb", "delta_version"):
        expect(ui.page.get_by_role("cell", name=number, exact=True)).to_be_visible()

    ui.open("/assets/silver/interactions?view=checks")
    expect(ui.page.get_by_text("column_user_id").first).to_be_visible()
    expect(ui.page.get_by_text("Passed", exact=True).first).to_be_visible()
    expect(ui.page.get_by_text("Succeeded", exact=True).first).to_be_visible()
    assert ui.page.get_by_text("Failed", exact=True).count() == 0


def test_a_run_that_is_terminated_in_the_ui_leaves_no_process_of_its_job(ui: Ui) -> None:
    run = ui.materialize("silver/interactions", night=_NIGHT)
    deadline = time.monotonic() + 120
    while "java" not in map(program, ui.job_processes()):
        assert time.monotonic() < deadline, "the job never started its JVM"
        time.sleep(0.1)
    processes = ui.job_processes()

    ui.open(f"/runs/{run}")
    ui.page.get_by_role("button", name="Terminate").click()
    ui.page.get_by_role("dialog").get_by_role("button", name="Terminate").click()
    assert ui.until(lambda newest: newest["status"] == "CANCELED")["runId"] == run
    assert not list(filter(is_alive, processes))
