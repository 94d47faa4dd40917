"""What watches the day speaks of metrics that the service tells, and its rules say what they should."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient

from api import metrics
from api.app import create_app
from data_contracts.settings import Settings
from tests.day_world import NOW, FakeStore

MONITORING = Path(__file__).parents[2] / "infra" / "monitoring"
RULES = yaml.safe_load((MONITORING / "rules.yaml").read_text())
BOARD = json.loads((MONITORING / "dashboard.json").read_text())


# By kube-state-metrics.
OF_KUBERNETES = {"kube_cronjob_status_last_successful_time"}


def rules() -> list[dict[str, Any]]:
    return [rule for group in RULES["groups"] for rule in group["rules"]]


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    yield from (target["expr"] for panel in BOARD["panels"] for target in panel["targets"])


def test_rules_and_dashboard_name_only_what_is_told_or_recorded(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, pointer_poll_seconds=3_600)
    with TestClient(create_app(settings, store=FakeStore(), clock=lambda: NOW)) as client:
        client.get("/healthz")
        client.get("/api/v1/recommendations", params={"user_id": "1", "channel": "web"})
        told = {name for family in metrics.REGISTRY.collect() for name in _names(family.name)}
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for expression in expressions():
        named = set(re.findall(r"recs[:_][a-z0-9_:]+", expression)) or set(re.findall(r"kube_cronjob_\w+", expression))
        assert named, expression
        assert named <= told | recorded | OF_KUBERNETES, named - told - recorded


def _names(family: str) -> set[str]:
    return {family, *(f"{family}_{part}" for part in ("total", "bucket", "count", "sum"))}


def test_every_alert_says_who_is_called_and_why() -> None:
    alerts = [rule for rule in rules() if "alert" in rule]
    assert {alert["labels"]["severity"] for alert in alerts} == {"page", "ticket"}
    assert all(alert["annotations"]["summary"] for alert in alerts)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian's package prometheus) is not here")
@pytest.mark.parametrize("command", [["check", "rules", "rules.yaml"], ["test", "rules", "rules_test.yaml"]])
def test_promtool_finds_the_rules_right(command: list[str]) -> None:
    done = subprocess.run(["promtool", *command], cwd=MONITORING, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
