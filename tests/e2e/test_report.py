"""The report of the shared night, as a person opens it: offline, in a real browser."""

from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from spark_jobs.report.sections import SECTIONS
from tests.e2e.dagster_ui import CHROMIUM
from tests.e2e.nights import Night

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")
_FEWEST_LETTERS = 60


def test_the_nights_report_opens_offline_with_content_in_every_section_and_without_an_error(
    night: Night, tmp_path: Path
) -> None:
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1180, "height": 900}, java_script_enabled=True)
        page.context.set_offline(True)
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("requestfailed", lambda request: errors.append(request.url))
        page.goto(Path(night.printed["report"]).as_uri())
        expect(page.locator("h1")).to_have_text("Fit to be shown")
        sections = page.locator("section").all()
        assert len(sections) == len(SECTIONS)
        for section in sections:
            assert len(section.inner_text()) > _FEWEST_LETTERS
            assert section.locator("svg, table, .missing, .words").count()
        assert page.locator("#whom svg path[aria-label]").count() > 20
        assert page.locator("#steps tbody tr").count() >= 6
        page.screenshot(path=tmp_path / "report.png", full_page=True)
        browser.close()
    assert errors == []
