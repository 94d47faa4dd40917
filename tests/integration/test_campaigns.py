"""Campaigns assigned by what a real ClickHouse serves, stops and keeps back: by the command and by the night."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from api.app import create_app
from dagster_project.assets import campaigns
from dagster_project.partitions import nights
from data_contracts.errors import InputError
from data_contracts.night import NightParams
from data_contracts.settings import Settings
from data_contracts.suppressions import Suppression, Terms
from data_contracts.vocabulary import SuppressionKind
from data_contracts.yaml_files import as_document
from infra.cli import app
from infra.local.clickhouse.testing import clickhouse_url
from spark_jobs.campaigns import records
from spark_jobs.jobs.campaigns import run
from spark_jobs.lake.files import delete_folder
from sql.campaigns import Ground, decide_campaign
from sql.client import Address, Store, connected
from sql.load import load
from sql.migrate import migrate
from sql.pointer import publish
from sql.proposals import Decision, Step
from sql.ranges import everybodys_events
from sql.rules import block, put_rule_set, unblock
from sql.suppressions import Order, suppress
from sql.verify import verify
from tests.campaign_samples import SNAPSHOT, campaign, folder_of, write_lake
from tests.day_world import CATALOGUE, NOW, REASONS, RULES
from tests.integration.dagster_fakes import QUIET

__all__ = ["clickhouse_url"]
DAY = NOW.date()
ASK = ["campaigns", "assign", "--date", DAY.isoformat(), "--json"]


@dataclass(frozen=True)
class Bank:
    settings: Settings

    @property
    def folder(self) -> str:
        return records.folder_of(self.settings.lake_uri, DAY, SNAPSHOT)

    def contacted(self) -> set[int]:
        rows = records.rows_of(self.folder, "loans").to_pylist()
        return {row["user_id"] for row in rows if row["group"] == records.CONTACT}

    def controls(self) -> set[int]:
        rows = records.rows_of(self.folder, "loans").to_pylist()
        return {row["user_id"] for row in rows if row["group"] == records.CONTROL}

    def held_out(self) -> set[int]:
        """By the events that every interface goes by."""
        with connected(Address.of(self.settings)) as store:
            return set(hold_outs(store)["user_id"].to_pylist())

    def offered(self, channel: str) -> set[int]:
        """Whose list of the channel has the campaign's product."""
        with TestClient(create_app(self.settings, clock=lambda: NOW)) as client:
            lines = client.get("/api/v1/lists", params={"channel": channel}).text.splitlines()
        said = [json.loads(line) for line in lines]
        return {int(one["user_id"]) for one in said if "user_id" in one and "loan_cash" in json.dumps(one)}

    def night(self) -> dg.ExecuteInProcessResult:
        resources = {"settings": self.settings, "spark_runner": _Here()}
        assets = campaigns.build(nights(self.settings))
        return dg.materialize(assets, partition_key=DAY.isoformat(), resources=resources, run_config=QUIET)


class _Here:
    """A SparkRunner that needs no process: the job is real."""

    def run(self, context: dg.AssetExecutionContext, *, job: str, params: NightParams) -> Mapping[str, Any]:
        assert job == "campaigns"
        assert str(params.campaigns).startswith(params.lake), "a cluster sees nothing else"
        return {**asdict(run(params)), "log": "job.log"}


def hold_outs(store: Store) -> pa.Table:
    events = everybodys_events(store, cut_off=0)
    return events.filter(pc.equal(events["event_type"], "held_out"))


@pytest.fixture
def bank(clickhouse_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bank:
    folder = folder_of(tmp_path / "campaigns", {"budget": 600, "control_share": 0})
    told = {"data_dir": tmp_path, "clickhouse_url": clickhouse_url, "campaigns": folder, "dwh": "/nowhere"}
    settings = Settings(**told, clickhouse_database="campaigns")
    for name in ("data_dir", "clickhouse_url", "clickhouse_database", "campaigns"):
        monkeypatch.setenv(f"RECS_{name.upper()}", str(getattr(settings, name)))
    lake = write_lake(tmp_path / "lake")
    migrate(Address.of(settings))
    with connected(Address.of(settings)) as store:
        put_rule_set(store, catalogue=CATALOGUE, rules=RULES, reasons=REASONS, actor="test")
        verify(store, load(store, snapshot_uri=f"{lake}/snapshots/{SNAPSHOT}"))
        publish(store, SNAPSHOT, actor="test")
    return Bank(settings)


def test_the_command_and_the_night_assign_alike_and_whom_clickhouse_keeps_back_they_leave_alone(bank: Bank) -> None:
    first = CliRunner().invoke(app, ASK)
    assert first.exit_code == 0, first.exception
    assert json.loads(first.stdout)["campaigns"]["loans"]["contacts"] == len(bank.contacted()) > 0
    user = min(bank.contacted())
    delete_folder(bank.folder)
    with connected(Address.of(bank.settings)) as store:
        terms = Terms(kind=SuppressionKind.COMPLAINT, channel="crm")
        suppress(store, [Suppression(user, terms)], Order(actor="test", at=datetime.now(UTC)))
    assert bank.night().success
    by_night, manifest = bank.contacted(), records.manifest_in(bank.folder)
    assert user not in by_night and len(by_night) == json.loads(first.stdout)["users"] - 1
    assert manifest is not None and json.loads(CliRunner().invoke(app, ASK).stdout) == manifest.model_dump(mode="json")
    with connected(Address.of(bank.settings)) as store:
        block(store, "loan_cash", actor="test", why="compliance")
        refused = CliRunner().invoke(app, ASK)
        stopped = CliRunner().invoke(app, [*ASK, "--replace"])
        unblock(store, "loan_cash", actor="test", why="")
    assert isinstance(refused.exception, InputError) and "--replace" in str(refused.exception)
    assert json.loads(stopped.stdout)["users"] == 0


def test_a_control_group_is_offered_the_product_by_nobody_who_sends_and_only_that_of_the_last_assignment(
    bank: Bank,
) -> None:
    folder = bank.settings.campaigns or Path()
    folder_of(folder, {"budget": 600, "control_share": 0.3})
    before = bank.offered("crm")
    told = json.loads(CliRunner().invoke(app, ASK).stdout)
    first = bank.controls()
    assert len(first) == told["campaigns"]["loans"]["controls"] > 100
    assert first <= before and bank.contacted() <= before
    assert (bank.held_out(), bank.offered("crm")) == (first, before - first)
    assert first <= bank.offered("web")
    delete_folder(bank.folder)
    assert bank.night().success
    assert (bank.controls(), bank.held_out()) == (first, first)
    folder_of(folder, {"budget": 600, "control_share": 0.1})
    assert CliRunner().invoke(app, [*ASK, "--replace"]).exit_code == 0
    assert bank.controls() < first
    assert (bank.held_out(), bank.offered("crm")) == (bank.controls(), before - bank.controls())


def test_assigning_again_holds_nobody_out_anew_and_a_night_ends_what_clickhouse_missed(bank: Bank) -> None:
    folder_of(bank.settings.campaigns or Path(), {"budget": 600, "control_share": 0.3})
    assert CliRunner().invoke(app, ASK).exit_code == 0

    def events() -> int:
        with connected(Address.of(bank.settings)) as store:
            return hold_outs(store).num_rows

    count = events()
    assert CliRunner().invoke(app, ASK).exit_code == 0
    assert events() == count
    with connected(Address.of(bank.settings)) as store:
        store.run("user_events_v1/without_held_out", day="campaign/", kept="nothing")
    assert events() == 0
    assert bank.night().success
    assert (events(), bank.held_out()) == (count, bank.controls())


def test_campaigns_are_listed_and_shown_and_one_that_speaks_of_nothing_known_is_refused(bank: Bank) -> None:
    listed = CliRunner().invoke(app, ["campaigns", "list", "--json"])
    assert [one["about"] for one in json.loads(listed.stdout)] == ["loan_cash"]
    shown = CliRunner().invoke(app, ["campaigns", "show", "loans", "--json"])
    assert json.loads(shown.stdout)["budget"] == 600
    assert "there are: loans" in str(CliRunner().invoke(app, ["campaigns", "show", "cards"]).exception)
    folder_of(bank.settings.campaigns or Path(), {"product": "loan_gold"})
    assert "0.yaml:2: product" in str(CliRunner().invoke(app, ["campaigns", "list"]).exception)


def test_what_two_people_agreed_to_is_what_the_next_command_and_the_next_night_assign(bank: Bank) -> None:
    file = bank.settings.data_dir / "loans.yaml"
    file.write_text(as_document(campaign(budget=3, control_share=0)), encoding="utf-8")
    asked = CliRunner().invoke(app, ["campaigns", "propose", str(file), "--why", "ticket 77"])
    proposal_id = asked.stdout.split()[-1]
    assert isinstance(CliRunner().invoke(app, ["campaigns", "approve", proposal_id]).exception, InputError)
    with connected(Address.of(bank.settings)) as store:
        decision = Decision(proposal_id, Step.APPROVED, actor="boris", why="", now=datetime.now(UTC))
        decide_campaign(store, decision, Ground(bank.settings.campaigns))
    told = json.loads(CliRunner().invoke(app, ["campaigns", "proposals", "--json"]).stdout)
    assert (told[0]["state"], "by boris: ticket 77" in told[0]["decided"]) == ("approved", True)
    by_command = json.loads(CliRunner().invoke(app, ASK).stdout)
    assert by_command["campaigns"]["loans"]["contacts"] == 3
    delete_folder(bank.folder)
    assert bank.night().success
    assert len(bank.contacted()) == 3
    stopped = as_document(campaign(budget=3, control_share=0, enabled=False))
    file.write_text(stopped, encoding="utf-8")
    assert "approved" in CliRunner().invoke(app, ["campaigns", "propose", str(file), "--why", "complaints"]).stdout
