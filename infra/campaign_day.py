"""A day's campaigns as `recs campaigns assign` asks for them, and what it prints of the result."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from data_contracts.campaigns import campaigns_in
from data_contracts.errors import InputError
from data_contracts.night import parse_snapshot_id
from data_contracts.settings import Settings
from infra.publishing import opened
from spark_jobs.campaigns.day import Day
from spark_jobs.campaigns.records import AssignmentManifest, CampaignCounts, rows_of
from spark_jobs.campaigns.snapshot import known_by
from sql import pointer
from sql.campaigns import standing
from sql.control_groups import ASSIGNED_COLUMNS, ControlGroup, hold_out


def day_of(settings: Settings, day: date, *, contacts: int, window_days: int) -> Day:
    """ClickHouse tells what is served and what may be shown. Raises InputError before the first snapshot is served."""
    with opened(settings) as store:
        served = pointer.current(store)
        at = datetime.now(UTC)
        now = standing(store, day=day, cut_off=_cut_off(served, settings), now=at) if served else None
    if served is None or now is None or now.rules is None:
        raise InputError("no snapshot is served yet: run `recs night` first")
    known = known_by(f"{settings.lake_uri}/snapshots/{served}")
    return Day(
        lake=settings.lake_uri,
        snapshot_id=served,
        day=day,
        campaigns=campaigns_in(settings.campaigns, known=known, approved=now.campaigns),
        catalogue=now.rules.catalogue,
        rules=now.rules.rules,
        stops=now.stops,
        contacts_a_channel=contacts,
        window_days=window_days,
        max_age_days=settings.max_snapshot_age_days,
        events=now.events,
        late_days=settings.late_event_days,
        timezone=settings.timezone,
    )


def hold_controls_out(settings: Settings, told: AssignmentManifest, folder: str) -> None:
    """Whom an assignment, which lies in the folder, draws into control groups: from now on nobody contacts them about
    it. See `hold_out` for what assigning again does.
    """
    groups = [
        ControlGroup.of(name, one.channel, rows_of(folder, name, list(ASSIGNED_COLUMNS)))
        for name, one in told.campaigns.items()
    ]
    with opened(settings) as store:
        hold_out(store, groups, day=told.day, now=datetime.now(UTC))


def _cut_off(snapshot_id: str, settings: Settings) -> datetime:
    as_of, _ = parse_snapshot_id(snapshot_id)
    return datetime.combine(as_of, time(), ZoneInfo(settings.timezone))


def counts_rows(told: AssignmentManifest) -> list[dict[str, Any]]:
    """One row a campaign."""
    return [_counts_row(name, one) for name, one in told.campaigns.items()]


def _counts_row(name: str, one: CampaignCounts) -> dict[str, Any]:
    return {
        "campaign": name,
        "reach": one.audience,
        "conflicts": one.wanted_elsewhere,
        "contacts": one.contacts,
        "control": one.controls,
        "budget": f"{1 - one.budget_left / one.budget:.0%}",
        "roubles": round(one.value),
    }


def summary(told: AssignmentManifest) -> Iterator[str]:
    """What the table does not say."""
    how = "the solver's optimum" if told.is_exact else f"at most {told.gap:.3%} below what is possible"
    yield f"{told.users} users contacted, {told.value:,.0f} roubles expected; conflicts: wanted by another one too"
    yield f"worth by priorities {told.worth:,.0f}, {how}"
