"""Who is woken finds the page of what to do, and each page says what leads to it; what it tells to type exists."""

import re
from pathlib import Path

import pytest
import typer
import yaml

from dagster_project.alerts import AlertKind
from data_contracts.settings import Settings
from infra.cli import app

ROOT = Path(__file__).parents[2]
RUNBOOKS = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "infra" / "runbooks").glob("*.md"))}
RULES = yaml.safe_load((ROOT / "infra" / "monitoring" / "rules.yaml").read_text(encoding="utf-8"))
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule]
LEADS = {rule["alert"]: rule["annotations"].get("runbook", "") for rule in ALERTS}
LEADS |= {kind.value: kind.runbook for kind in AlertKind}
EACH = pytest.mark.parametrize("name", RUNBOOKS)


def named_alerts(text: str) -> set[str]:
    [line] = [line for line in text.splitlines() if line.startswith("Alert: ")]
    return set(re.findall(r"`(\w+)`", line)) - {"upkeep"}


def test_all_that_was_asked_for_is_there() -> None:
    asked = "late-exports failed-gate clickhouse-down kafka-lag bad-model leaked-key erasure-request restore"
    assert {f"{name}.md" for name in asked.split()} <= set(RUNBOOKS)


@pytest.mark.parametrize("alert", LEADS)
def test_every_alert_names_a_page_that_names_it(alert: str) -> None:
    page = Path(LEADS[alert])
    assert page.parent.as_posix() == "infra/runbooks" and page.name in RUNBOOKS, LEADS[alert]
    assert alert in named_alerts(RUNBOOKS[page.name])


def test_alerts_that_are_made_by_hand_lead_to_a_page_too() -> None:
    by_hand = yaml.safe_load((ROOT / "infra" / "monitoring" / "cloud_alerts.yaml").read_text(encoding="utf-8"))
    assert {one["service"] for one in by_hand} == {"managed-clickhouse", "managed-kafka", "managed-postgresql"}
    for one in by_hand:
        assert one["warning"] < one["alarm"] < 100 and (ROOT / one["runbook"]).is_file(), one["name"]


@EACH
def test_a_page_names_alerts_that_exist_harm_and_an_end_on_one_page(name: str) -> None:
    text = RUNBOOKS[name]
    assert named_alerts(text) and named_alerts(text) <= set(LEADS)
    assert "\nHarm: " in text and "\nDone when: " in text
    assert len(text.splitlines()) <= 45 and max(map(len, text.splitlines())) <= 400
    for link in re.findall(r"\]\(([\w-]+\.md)\)", text):
        assert link in RUNBOOKS


@EACH
def test_a_page_tells_to_type_only_what_exists(name: str) -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for command, options in re.findall(r"`[^`]*?\brecs ([a-z]+)((?: [^`]*)?)`", RUNBOOKS[name].replace("\n   ", " ")):
        assert command in commands, command
        known = {option for one in _with_children(commands[command]) for param in one.params for option in param.opts}
        assert set(re.findall(r"--[a-z-]+", options)) <= known, f"recs {command}{options}"
    for setting in re.findall(r"\bRECS_([A-Z_]+)", RUNBOOKS[name]):
        assert setting.lower() in Settings.model_fields, setting


def _with_children(command: typer.core.TyperCommand) -> list[typer.core.TyperCommand]:
    return [command, *getattr(command, "commands", {}).values()]
