"""Campaigns: what contradicts itself is refused with its line, and a day's assignment keeps to all that was agreed."""

import shutil
from datetime import datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts.campaigns import Known, campaigns_in, held_out
from data_contracts.catalogue import Catalogue
from data_contracts.errors import InputError
from data_contracts.night import NightParams, Sources
from data_contracts.overlay import EVENTS
from data_contracts.overlay.kinds import CAMPAIGNS, SUPPRESSIONS
from data_contracts.overlay.rows import micros
from infra.local.world.plan import Plan
from infra.local.world.reference import read_reference
from spark_jobs.campaigns import records
from spark_jobs.campaigns.day import Day, assign_day
from spark_jobs.jobs.campaigns import run
from spark_jobs.lake.files import delete_folder
from tests.campaign_samples import HOLDERS, SILENT, SNAPSHOT, YOUNG, campaign, folder_of, write_lake
from tests.day_world import CATALOGUE, NOW, RULES

KNOWN = Known(CATALOGUE, frozenset({1, 2}))
DAY = NOW.date()
NEXT = DAY.replace(day=DAY.day + 1)


@pytest.mark.parametrize(
    ("bodies", "said"),
    [
        ([{"end": "2026-03-01"}], r"0\.yaml:5: end: lies before"),
        ([{"families": ["loan"]}], r"0\.yaml:\d+: families: .* not both"),
        ([{"product": None}], r"0\.yaml:1: product: missing"),
        ([{"product": None, "families": ["lon"]}], r"0\.yaml:\d+: families"),
        ([{"product": "loan_gold"}], r"0\.yaml:2: product: the catalogue 1 has no loan_gold"),
        ([{"product": "cashback_all"}], r"0\.yaml:3: channel: nothing of what it advertises is offered in crm"),
        ([{"channel": "pigeon"}], r"0\.yaml:3: channel: "),
        ([{"budget": 0}], r"0\.yaml:6: budget: "),
        ([{"control_share": 1.5}], r"0\.yaml:\d+: control_share: "),
        ([{"audience": {"segments": [1, 77]}}], r"0\.yaml:\d+: audience\.segments: there is no segment 77"),
        ([{"audience": {"size": 5}}], r"0\.yaml:6: budget: is more contacts than the audience"),
        ([{"audience": {"variant": "luck"}}], r"0\.yaml:12: audience\.variant: "),
        ([{"exclusive_with": ["loans"]}], r"0\.yaml:\d+: exclusive_with: a campaign cannot exclude itself"),
        ([{"exclusive_with": ["cards"]}], r"0\.yaml:\d+: exclusive_with: there is no campaign cards"),
        ([{"colour": "red"}], r"0\.yaml:11: colour: Extra"),
        ([{}, {}], r"1\.yaml:1: name: loans is the name of 0\.yaml too"),
    ],
)
def test_a_campaign_that_contradicts_itself_or_the_catalogue_is_refused_with_file_line_and_field(
    tmp_path: Path, bodies: list[dict[str, Any]], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        campaigns_in(folder_of(tmp_path, *bodies), known=KNOWN)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: a\nbudget: 1\nbudget: 2\n", r"a\.yaml:3: budget: stands twice"),
        ("name: a\nstart: 2026-02-30\n", r"a\.yaml:2: start: 2026-02-30 is no date"),
        ("name: a\n b: [", r"a\.yaml:2: is no YAML"),
        ("- a\n", r"a\.yaml:1: is no mapping"),
        ("", r"a\.yaml:1: is no mapping"),
    ],
)
def test_a_file_that_yaml_would_take_for_something_else_is_refused_with_its_line(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        campaigns_in(tmp_path)


def test_the_campaigns_that_ship_fit_the_sample_world() -> None:
    plan = Plan(users=10, days=2, seed=1, last_date=DAY, horizon_days=30)
    known = Known(read_reference(plan).catalogue, frozenset(range(24)))
    assert [one.name for one in campaigns_in(None, known=known)] == ["spring_deposits", "travel_card"]


def test_the_same_campaign_gives_the_same_json() -> None:
    families, others = ["loan", "card", "savings", "deposit"], [f"other_{number}" for number in (3, 1, 4, 2)]
    told = campaign(product=None, families=families, exclusive_with=others).model_dump(mode="json")
    assert (told["families"], told["exclusive_with"]) == (sorted(families), sorted(others))


def test_a_control_group_has_its_share_of_the_users_and_is_no_other_campaigns() -> None:
    users = np.arange(100_000)
    one, other = (held_out(campaign(name=name, control_share=0.2), users) for name in ("loans", "cards"))
    assert abs(one.mean() - 0.2) < 0.01
    assert abs((one & other).mean() - 0.04) < 0.005
    assert not held_out(campaign(control_share=0), users).any()


def day(lake: str, *bodies: dict[str, Any], **changes: Any) -> Day:
    campaigns = [campaign(**body) for body in bodies]
    told = {"lake": lake, "snapshot_id": SNAPSHOT, "day": DAY, "catalogue": CATALOGUE, "rules": RULES}
    return Day(**{**told, "campaigns": campaigns, **changes})


def users(asked: Day, name: str, group: str) -> set[int]:
    rows = records.rows_of(asked.folder, name).to_pylist()
    return {row["user_id"] for row in rows if row["group"] == group}


def test_only_whom_the_policy_lets_the_channel_address_is_contacted_and_the_control_group_is_not(
    tmp_path: Path,
) -> None:
    asked = day(write_lake(tmp_path), {"budget": 600, "control_share": 0.3})
    told = assign_day(asked).campaigns["loans"]
    contacted, control = (users(asked, "loans", group) for group in (records.CONTACT, records.CONTROL))
    may = set((np.flatnonzero(~HOLDERS & ~SILENT & ~YOUNG) + 1).tolist())
    held = {user for user in may if held_out(campaign(control_share=0.3), np.array([user]))[0]}
    assert (contacted, control) == (may - held, held)
    assert (told.audience, told.contacts, told.controls, told.held_out) == tuple(map(len, (may, contacted, held, held)))


def test_an_assignment_says_from_when_on_each_may_be_told_though_its_day_begins_at_night(tmp_path: Path) -> None:
    asked = day(write_lake(tmp_path), {}, {"name": "deposits", "product": "deposit_year", "channel": "mobile"})
    assign_day(asked)
    morning = datetime.combine(DAY, time(9), ZoneInfo("Europe/Moscow"))
    assert {row["send_after"] for row in records.rows_of(asked.folder, "loans").to_pylist()} == {morning}
    assert {row["send_after"] for row in records.rows_of(asked.folder, "deposits").to_pylist()} == {None}


def test_a_tight_budget_is_spent_on_the_best_and_the_control_group_recorded_compares_with_them(tmp_path: Path) -> None:
    asked = day(write_lake(tmp_path), {"budget": 100, "control_share": 0.3})
    told = assign_day(asked)
    rows = records.rows_of(asked.folder, "loans").to_pylist()
    values = {group: [row["value"] for row in rows if row["group"] == group] for group in ("contact", "control")}
    assert len(values["contact"]) == 100
    assert min(values["control"]) >= told.campaigns["loans"].price * (1 - 1e-6)
    assert len(values["control"]) < told.campaigns["loans"].held_out
    assert told.gap == 0 and told.is_exact
    assert told.value == pytest.approx(sum(values["contact"]), rel=1e-5)


def test_assigning_again_changes_no_byte_and_another_assignment_of_the_day_needs_to_be_asked_for(
    tmp_path: Path,
) -> None:
    asked = day(write_lake(tmp_path), {"budget": 50})
    told, folder = assign_day(asked), Path(asked.folder)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / records.MANIFEST).unlink()  # as a killed attempt leaves it
    assert list(records.assignments(asked.lake)) == []
    assert assign_day(asked) == assign_day(asked) == told
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    changed = day(asked.lake, {"budget": 60})
    with pytest.raises(InputError, match="another assignment"):
        assign_day(changed)
    assert assign_day(changed, replace=True).campaigns["loans"].contacts == 60


def test_budgets_caps_and_exclusions_hold_from_one_day_to_the_next(tmp_path: Path) -> None:
    cards = {"name": "cards", "product": "card_gold", "exclusive_with": ["loans"], "budget": 600, "control_share": 0}
    bodies = ({"budget": 80, "control_share": 0}, cards, {"name": "deposits", "product": "deposit_year", "budget": 600})
    today = day(write_lake(tmp_path), *bodies)
    assign_day(today)
    later = day(today.lake, *bodies, day=NEXT, contacts_a_channel=2)
    told = assign_day(later)
    first = {name: users(today, name, "contact") for name in ("loans", "cards", "deposits")}
    second = {name: users(later, name, "contact") for name in ("loans", "cards", "deposits")}
    assert told.campaigns["loans"].contacts == told.campaigns["loans"].budget_left == 0
    assert all(not first[name] & second[name] for name in first)
    assert not (first["loans"] | second["loans"]) & (first["cards"] | second["cards"])
    counts = np.bincount([user for found in (first, second) for one in found.values() for user in one])
    assert counts.max() == 2 and sum(map(len, second.values())) > 0
    assert assign_day(day(today.lake, *bodies, day=NEXT.replace(day=18))).users == 0  # one contact in seven days


def test_who_is_in_a_control_group_hears_of_its_product_from_no_other_campaign(tmp_path: Path) -> None:
    rival = {"name": "rival", "control_share": 0, "budget": 600}
    asked = day(write_lake(tmp_path), {"budget": 600, "control_share": 0.4}, rival, contacts_a_channel=2)
    assign_day(asked)
    assert users(asked, "loans", "control") and not users(asked, "loans", "control") & users(asked, "rival", "contact")


def test_audiences_are_cut_by_segment_score_and_size_and_stops_hold(tmp_path: Path) -> None:
    lake = write_lake(tmp_path)
    narrow = {"segments": [2], "min_score": 0.1, "size": 40}
    asked = day(lake, {"audience": narrow, "budget": 40, "control_share": 0})
    assert assign_day(asked).campaigns["loans"].contacts == 40
    rows = records.rows_of(asked.folder, "loans").to_pylist()
    assert all(row["score"] >= 0.1 and row["user_id"] % 2 == 0 for row in rows)
    stopped = day(lake, {"budget": 40}, stops=["loan_cash"])
    assert assign_day(stopped, replace=True).users == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"day": NEXT.replace(day=25)}, "is not for 2026-03-25: its lists are good from 2026-03-16 on, for 3 days"),
        ({"snapshot_id": "2026-03-16.9"}, "no finished snapshot 2026-03-16.9"),
        ({"campaigns": [campaign(enabled=False)]}, "no campaign runs on 2026-03-16; there are: loans"),
        ({"campaigns": [campaign(audience={"variant": "uplift"})]}, "has no uplift lists, only personal"),
        ({"catalogue": Catalogue(version="2", products=CATALOGUE.products[:3])}, "other products"),
    ],
)
def test_a_day_that_cannot_be_assigned_says_why(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        assign_day(day(write_lake(tmp_path), {}, **changes))


def events(*rows: dict[str, Any]) -> pa.Table:
    """EVENTS of users, each an hour before the day, in crm."""
    hour_before = micros(datetime.combine(DAY, time(), ZoneInfo("Europe/Moscow"))) - 3_600_000_000
    said = {"event_time": hour_before, "item_id": "", "channel": "crm", "family": ""}
    return pa.Table.from_pylist([{**said, "event_id": str(number), **row} for number, row in enumerate(rows)], EVENTS)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def test_who_opted_out_or_is_suppressed_or_was_just_sent_something_is_not_contacted(tmp_path: Path) -> None:
    lake, body = write_lake(tmp_path), {"budget": 600, "control_share": 0}
    before = day(lake, body)
    assign_day(before)
    free = sorted(users(before, "loans", "contact"))[:5]
    out, family, product, sent, elsewhere = ({"user_id": user} for user in free)
    known = events(
        {**out, "topic": "recommendation.feedback", "event_type": "opted_out"},
        {**family, "topic": SUPPRESSIONS, "event_type": "family_suppressed", "family": "loan"},
        {**product, "topic": SUPPRESSIONS, "event_type": "product_suppressed", "item_id": "loan_cash"},
        *({**sent, "topic": CAMPAIGNS, "event_type": "sent", "item_id": "loan_cash"} for _ in range(3)),
        {**elsewhere, "topic": SUPPRESSIONS, "event_type": "channel_suppressed", "channel": "web"},
    )
    assert assign_day(day(lake, body, events=known)) == assign_day(before)  # what came since is no other assignment
    delete_folder(before.folder)
    assign_day(day(lake, body, events=known))
    assert set(free) - users(before, "loans", "contact") == set(free[:4])


def test_the_nights_job_assigns_its_snapshot_and_rests_on_a_day_without_campaigns(tmp_path: Path) -> None:
    lake, folder = write_lake(tmp_path), folder_of(tmp_path / "said", {"budget": 30})
    night = NightParams(as_of=DAY, lake=lake, sources=Sources(dwh="/nowhere"), campaigns=str(folder))
    pq.write_table(events(), _made(tmp_path / "campaigns" / DAY.isoformat()) / "events.parquet")
    report = run(night).tables["assigned"]
    (assigned,) = (told for _, told in records.assignments(lake))
    assert report.details["contacts"] == {"loans": 30} and report.fingerprint == assigned.made_of
    assert assigned.snapshot_id == SNAPSHOT
    again = night.model_copy(update={"attempt": 2, "campaigns": str(folder_of(tmp_path / "more", {"budget": 40}))})
    shutil.copytree(tmp_path / "snapshots" / SNAPSHOT, again.snapshot_uri)
    assert run(again).tables["assigned"].details["contacts"] == {"loans": 30}
    resting = night.model_copy(update={"campaigns": str(folder_of(tmp_path / "none", {"enabled": False}))})
    assert run(resting).tables["assigned"].rows == 0
