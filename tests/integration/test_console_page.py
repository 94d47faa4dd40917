"""The page for people in a real browser, on a real service and ClickHouse: what it shows, what a keyboard can do."""

import asyncio
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import pytest
import uvicorn
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from api.app import create_app, now
from data_contracts.settings import Settings
from data_contracts.vocabulary import Scope
from infra.local.clickhouse.testing import clickhouse_url
from infra.local.embedded import free_port
from infra.tokens import ensure_issuer, issue
from sql.client import Address, connected
from sql.lifts import suppressions_of
from sql.migrate import migrate
from sql.pointer import moves, publish
from sql.proposals import Kind, approved
from sql.rules import blocks, current_rule_set, put_rule_set
from tests.day_snapshots import load_snapshot
from tests.day_world import ALICE, CATALOGUE, FIRST, REASONS, RULES, SECOND
from tests.day_world import LISTS as DAY_LISTS
from tests.integration.test_audiences import LISTS, STATES

__all__ = ["clickhouse_url"]
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")
HOSTILE = "<img src=x onerror=\"document.title='taken over'\">"
_GENEROUS_MS = 30_000


@dataclass
class Console:
    url: str
    address: Address
    settings: Settings
    browser: Browser
    complaints: list[str] = field(default_factory=list)

    def said(self, message: ConsoleMessage) -> None:
        """Errors. That an answer is not logged yet, and is asked for again, is none."""
        if message.type == "error" and "/explanations/" not in message.location.get("url", ""):
            self.complaints.append(message.text)

    def token(self, *scopes: Scope, client: str = "anna") -> str:
        return issue(self.settings, scopes=scopes or list(Scope), client=client, seconds=3_600)

    def sign_in(self, *scopes: Scope, client: str = "anna", view: str = "snapshots") -> Page:
        """A browser's first tab, signed in by keyboard alone."""
        for context in self.browser.contexts:
            context.close()
        page = self.browser.new_page(locale="en-GB")
        page.set_default_timeout(_GENEROUS_MS)
        page.on("console", self.said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(f"{self.url}/console/#{view}")
        expect(page.get_by_label("Access token")).to_be_focused()
        page.keyboard.insert_text(self.token(*scopes, client=client))
        page.keyboard.press("Enter")
        expect(page.get_by_role("navigation")).to_be_visible()
        return page


@pytest.fixture(scope="module")
def console(clickhouse_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    address = Address(url=clickhouse_url, database="console_page")
    migrate(address)
    with connected(address) as store:
        put_rule_set(store, catalogue=CATALOGUE, rules=RULES, reasons=REASONS, actor="test")
        lists = {**LISTS, ALICE: DAY_LISTS[ALICE]}
        for snapshot_id in (FIRST, SECOND):
            folder = tmp_path_factory.mktemp("snapshot")
            load_snapshot(store, folder, snapshot_id=snapshot_id, lists=lists, states=STATES)
            publish(store, snapshot_id, actor="night", why=HOSTILE)
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("data"),
        clickhouse_url=address.url,
        clickhouse_database=address.database,
        auth="on",
        pointer_poll_seconds=0.05,
        lookup_deadline_ms=20_000,
    )
    ensure_issuer(settings)
    with served(settings) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        expect.set_options(timeout=_GENEROUS_MS)
        found = Console(url, address, settings, browser)
        yield found
        browser.close()


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    port = free_port()
    app = create_app(settings, clock=now)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=asyncio.run, args=(server.serve(),))
    thread.start()
    try:
        deadline = time.monotonic() + 60
        while not server.started:
            assert thread.is_alive() and time.monotonic() < deadline, "the service did not start"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(autouse=True)
def nothing_to_complain_about(console: Console) -> Iterator[None]:
    console.complaints.clear()
    yield
    assert console.complaints == []


def test_a_token_that_does_not_hold_is_told_and_one_that_does_shows_what_it_lacks(console: Console) -> None:
    page = console.sign_in(Scope.RECOMMENDATIONS_READ)
    expect(page.locator("#current")).to_have_text(SECOND)
    expect(page.get_by_text("snapshots:write")).to_be_visible()
    expect(page.get_by_role("button", name=f"Roll back to this: {FIRST}")).to_be_disabled()
    for view, lacks in (("audiences", "audiences:write"), ("exports", "exports:write"), ("stops", "rules:write")):
        page.locator(f"nav a[href='#{view}']").click()
        expect(page.locator(".locked").first).to_contain_text(lacks)
    assert page.evaluate("document.cookie + localStorage.length") == "1"  # the theme
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Access token").fill("not a token")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("does not hold")
    assert console.complaints.pop().endswith("401 (Unauthorized)")  # the browser tells of the refusal by itself
    page.reload()
    expect(page.get_by_label("Access token")).to_be_visible()


def test_a_users_answer_is_shown_by_channel_with_reasons_and_what_was_left_out(console: Console) -> None:
    page = console.sign_in(view="users")
    page.get_by_label("User id").fill(str(ALICE))
    page.keyboard.press("Enter")
    web = page.locator("[data-channel=web]")
    expect(web.locator(".items li").first).to_contain_text("The loan_cash")
    expect(web).to_contain_text("Fits what you spend on")
    expect(page.locator(".answer")).to_have_count(3)
    web.get_by_text("Reasons and what was left out").click()
    expect(web.locator("tbody tr").filter(has_text="mortgage_new")).to_contain_text("must not go together")
    expect(page.get_by_role("heading", name=f"Who this is: {ALICE}")).to_be_visible()


def test_an_audience_is_previewed_with_a_plot_of_its_scores(console: Console) -> None:
    page = console.sign_in(view="audiences")
    page.get_by_label("Product").select_option("card_gold")
    page.get_by_label("Size").fill("50")
    page.get_by_role("button", name="Preview").click()
    preview = page.locator("#preview")
    expect(preview.locator("svg.plot rect.bar")).not_to_have_count(0)
    told = re.findall(r"\d+", preview.locator(".figure").first.inner_text())  # contacted, and the control group
    assert sum(map(int, told)) == 50
    drawn = [float(bar.get_attribute("height") or 0) for bar in preview.locator("rect.bar").all()]
    assert max(drawn) > 50


def test_a_rollback_is_made_by_keyboard_alone_and_is_followed(console: Console) -> None:
    page = console.sign_in()
    expect(page.locator("#current")).to_have_text(SECOND)
    button = f"Roll back to this: {FIRST}"
    expect(page.get_by_role("button", name=button)).to_be_visible()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.ariaLabel") == button:
            break
    page.keyboard.press("Enter")
    expect(page.get_by_label("Reason")).to_be_focused()
    page.keyboard.insert_text(HOSTILE)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#current")).to_have_text(FIRST)
    expect(page.get_by_role("heading", level=1)).to_be_focused()  # the button is gone, the place is not lost
    expect(page.get_by_role("cell", name=HOSTILE).first).to_be_visible()
    assert page.locator("main img").count() == 0
    assert page.title() != "taken over"
    with connected(console.address) as store:
        assert (moves(store)[-1].actor, moves(store)[-1].why) == ("anna", HOSTILE)
        publish(store, SECOND, actor="test")


def test_one_person_stops_an_item_and_two_end_the_stop(console: Console) -> None:
    page = console.sign_in(view="stops")
    page.get_by_label("Item").fill("card_gold")
    page.get_by_label("Reason").first.fill("case 481")
    page.get_by_role("button", name="Stop showing it").click()
    page.get_by_role("button", name="Ask to end: card_gold").click()
    page.get_by_role("dialog").get_by_label("Reason").fill("case closed")
    page.get_by_role("dialog").get_by_role("button", name="Ask to end").click()
    expect(page.get_by_text("Waits for somebody else")).to_be_visible()
    page = console.sign_in(client="boris", view="stops")
    page.get_by_role("button", name="Agree to end: card_gold").click()
    expect(page.get_by_role("dialog")).to_contain_text("case closed (anna)")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing is stopped.")).to_be_visible()
    with connected(console.address) as store:
        assert blocks(store) == ()


def test_a_suppression_is_looked_at_and_taken_back(console: Console) -> None:
    page = console.sign_in(view="stops")
    page.get_by_label("User ids").fill("5301")
    page.get_by_label("Reason").last.fill(HOSTILE)
    page.get_by_role("button", name="Suppress").click()
    expect(page.get_by_text("people are no longer addressed")).to_be_visible()
    page.get_by_label("User id", exact=True).fill("5301")
    page.keyboard.press("Enter")
    row = page.get_by_role("row", name="a complaint")
    expect(row).to_contain_text(HOSTILE)
    row.get_by_role("button", name="Take it back").press("Enter")
    page.keyboard.insert_text("call 512")
    page.get_by_role("dialog").get_by_role("button", name="Take it back").press("Enter")
    expect(row).to_contain_text("taken back")
    expect(row).to_contain_text("call 512")
    with connected(console.address) as store:
        (kept,) = suppressions_of(store, 5301)
    assert (kept.actor, kept.lift and kept.lift.actor) == ("anna", "anna")


def test_a_campaign_is_proposed_by_keyboard_and_approved_by_somebody_else(console: Console) -> None:
    page = console.sign_in(view="campaigns")
    page.get_by_role("button", name="Propose a change: spring_deposits").focus()
    page.keyboard.press("Enter")
    document = page.get_by_role("dialog").get_by_label("Document, as YAML")
    expect(document).to_be_focused()
    document.fill(document.input_value().replace("budget: 500", "budget: none"))
    page.keyboard.press("Tab")
    page.keyboard.insert_text(HOSTILE)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("document.budget")
    assert "status of 422" in console.complaints.pop()  # the browser tells of the refusal by itself
    document.fill(document.input_value().replace("budget: none", "budget: 750"))
    page.get_by_role("dialog").get_by_role("button", name="Propose").press("Enter")
    waiting = page.locator("[data-proposal=spring_deposits]")
    expect(waiting).to_contain_text("Waits for somebody else")
    expect(waiting.get_by_role("button", name="Approve")).to_have_count(0)
    page = console.sign_in(client="boris", view="campaigns")
    page.get_by_label("Language").select_option("ru")
    waiting = page.locator("[data-proposal=spring_deposits]")
    expect(waiting.get_by_role("row", name="budget")).to_contain_text("750")
    expect(waiting).to_contain_text("travel_card")  # its rival
    expect(waiting).to_contain_text(HOSTILE)
    waiting.get_by_role("button", name="Утвердить").press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("С этого момента действует")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Ничто не ждёт утверждения.")).to_be_visible()
    expect(page.locator("article", has_text="spring_deposits").first).to_contain_text("Утверждено: boris")
    page.get_by_label("Язык").select_option("en")
    assert page.title() != "taken over"
    with connected(console.address) as store:
        assert "budget: 750" in approved(store, Kind.CAMPAIGN, now=now())["spring_deposits"]


def test_rules_are_proposed_by_one_and_served_when_another_approves(console: Console) -> None:
    page = console.sign_in(view="stops")
    page.get_by_role("button", name="Propose a change: Rules on showing").press("Enter")
    document = page.get_by_role("dialog").get_by_label("Document, as YAML")
    expect(document).to_be_focused()
    document.fill(document.input_value().replace("blocked_items: []", "blocked_items: [card_gold]"))
    page.get_by_role("dialog").get_by_label("Reason").fill("case 482")
    page.get_by_role("dialog").get_by_role("button", name="Propose").press("Enter")
    expect(page.locator("[data-proposal=rules]")).to_contain_text("Waits for somebody else")
    page = console.sign_in(client="boris", view="stops")
    expect(page.locator("[data-proposal=rules]").get_by_role("row", name="blocked_items")).to_contain_text("card_gold")
    page.get_by_role("button", name="Approve: rules").press("Enter")
    page.keyboard.press("Enter")
    expect(page.get_by_text("anna, boris")).to_be_visible()
    with connected(console.address) as store:
        served = current_rule_set(store)
        assert served is not None and served.rules.blocked_items == ("card_gold",)
        put_rule_set(store, catalogue=CATALOGUE, rules=RULES, reasons=REASONS, actor="test")


def test_the_page_speaks_both_languages_and_fits_a_phone_in_either_light(console: Console) -> None:
    page = console.sign_in()
    for width, light in ((390, "dark"), (1280, "light")):
        page.set_viewport_size({"width": width, "height": 800})
        page.get_by_label("Appearance").select_option(light)
        page.get_by_label("Language").select_option("ru")
        expect(page.get_by_role("heading", name="Снимки", level=1)).to_be_visible()
        expect(page.get_by_text("Показывается сейчас").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.get_by_label("Язык").select_option("en")
        expect(page.get_by_role("heading", name="Snapshots", level=1)).to_be_visible()


def test_nothing_but_its_own_files_may_run_on_the_page(console: Console) -> None:
    page = httpx.get(f"{console.url}/console", follow_redirects=True)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    assert "http" not in page.text.replace("http-equiv", "")
    assert httpx.get(f"{console.url}/console/../app.py").status_code == 404
    assert httpx.get(f"{console.url}/console/main.js").headers["content-type"].startswith("text/javascript")
