"""A day's assignment from end to end: from a snapshot in the lake to files in the lake, idempotent."""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.campaigns import Campaign
from data_contracts.catalogue import Catalogue, Rules
from data_contracts.columns import USER_ID
from data_contracts.contact_policy import contact_policy
from data_contracts.contacts import send_after
from data_contracts.errors import InputError
from data_contracts.manifest import Manifest
from data_contracts.night import parse_snapshot_id
from data_contracts.overlay import EVENTS
from data_contracts.overlay.rows import micros
from data_contracts.policy import CompiledPolicy, compile_policy
from data_contracts.vocabulary import Channel
from spark_jobs.campaigns import records
from spark_jobs.campaigns.assignment import Assigned, Before, assign, exclusions
from spark_jobs.campaigns.problem import Ints
from spark_jobs.campaigns.records import CONTACT, CONTROL, GROUP, AssignmentManifest, CampaignCounts
from spark_jobs.campaigns.snapshot import Reach, catalogue_of, reach_of
from spark_jobs.campaigns.withheld import Events
from spark_jobs.lake.files import delete_folder
from spark_jobs.lake.snapshot_files import manifest_of

_CHANNELS = tuple(Channel)
_DAY = 86_400_000_000


@dataclass(frozen=True)
class Day:
    """What is assigned. campaigns: all there are, running or not. rules, catalogue and stops: the newest approved.

    events: EVENTS of everybody, as known now; late_days: by how much they may be late.
    """

    lake: str
    snapshot_id: str
    day: date
    campaigns: Sequence[Campaign]
    catalogue: Catalogue
    rules: Rules
    stops: Collection[str] = ()
    contacts_a_channel: int = 1
    window_days: int = 7
    max_age_days: float = 3
    events: pa.Table = field(default_factory=EVENTS.empty_table)
    late_days: int = 0
    timezone: str = "Europe/Moscow"

    @property
    def folder(self) -> str:
        return records.folder_of(self.lake, self.day, self.snapshot_id)

    @property
    def begins(self) -> datetime:
        return datetime.combine(self.day, time(), ZoneInfo(self.timezone))

    @property
    def running(self) -> tuple[Campaign, ...]:
        return tuple(one for one in self.campaigns if one.runs_on(self.day))


def assign_day(asked: Day, *, replace: bool = False) -> AssignmentManifest:
    """Assign and write, or return what was written of the very same. Raises InputError for a day that cannot be
    assigned, and, unless `replace`, for one that already is, otherwise: CRM may have pulled that. Events that came
    since do not make it another one.
    """
    manifest = _fit_snapshot(asked)
    policy = compile_policy(asked.catalogue, asked.rules, today=asked.day, blocks=asked.stops)
    every = list(records.assignments(asked.lake))
    before = [(folder, one) for folder, one in every if one.day < asked.day]
    made_of = _fingerprint(asked, manifest, policy, [one.made_of for _, one in before])
    for folder, one in every:
        if one.day == asked.day and one.made_of == made_of:
            return one
        if one.day == asked.day and not replace:
            raise InputError(f"{folder} holds another assignment of {asked.day}; --replace makes it anew")
    snapshot = f"{asked.lake}/snapshots/{asked.snapshot_id}"
    events = Events(asked.events, micros(manifest.cut_off), micros(asked.begins), asked.late_days * _DAY)
    reach = reach_of(snapshot, asked.running, policy=policy, catalogue=asked.catalogue, events=events)
    left = _left_by(before, asked, reach.user_ids)
    found = assign(reach, asked.running, catalogue=asked.catalogue, before=left, contacts=asked.contacts_a_channel)
    told = _told(asked, reach, found, left, policy_hash=policy.hash, made_of=made_of)
    for folder, one in every:
        if one.day == asked.day:
            delete_folder(folder)
    records.write(asked.folder, _tables(asked, reach, found), told)
    return told


def _fit_snapshot(asked: Day) -> Manifest:
    as_of, _ = parse_snapshot_id(asked.snapshot_id)
    snapshot = f"{asked.lake}/snapshots/{asked.snapshot_id}"
    manifest = manifest_of(snapshot)
    if manifest is None:
        raise InputError(f"{asked.lake} holds no finished snapshot {asked.snapshot_id}")
    if not 0 <= (asked.day - as_of).days <= asked.max_age_days:
        raise InputError(
            f"snapshot {asked.snapshot_id} is not for {asked.day}: its lists are good from {as_of} on, "
            f"for {asked.max_age_days:g} days (RECS_MAX_SNAPSHOT_AGE_DAYS)"
        )
    if not asked.running:
        there_are = ", ".join(f"{one.name} {one.start} to {one.end}" for one in asked.campaigns)
        raise InputError(f"no campaign runs on {asked.day}; there are: {there_are or 'none'}")
    ours, theirs = ([product.product_id for product in of.products] for of in (asked.catalogue, catalogue_of(snapshot)))
    if ours != theirs:
        raise InputError(f"the approved catalogue has other products than {asked.snapshot_id}: run a night first")
    return manifest


def _fingerprint(asked: Day, manifest: Manifest, policy: CompiledPolicy, before: Sequence[str]) -> str:
    """16 hex digits of everything that the assignment depends on."""
    parts = {
        "snapshot": [asked.snapshot_id, {name: counts.checksum for name, counts in manifest.tables.items()}],
        "campaigns": [one.model_dump(mode="json") for one in asked.campaigns],
        "policy": [asked.day.isoformat(), policy.hash],
        "caps": [asked.contacts_a_channel, asked.window_days],
        "before": list(before),
    }
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _left_by(before: Sequence[tuple[str, AssignmentManifest]], asked: Day, user_ids: Ints) -> Before:
    running = asked.running
    left = Before(
        used=np.zeros(len(running), np.int64),
        ruled_out=np.zeros((len(running), len(user_ids)), np.bool_),
        contacts=np.zeros((len(_CHANNELS), len(user_ids)), np.int8),
    )
    names = [one.name for one in asked.campaigns]
    excluded = dict(zip(names, exclusions(asked.campaigns), strict=True))
    for folder, manifest in before:
        is_recent = manifest.day > asked.day - timedelta(days=asked.window_days)
        for name, counts in manifest.campaigns.items():
            rows = records.rows_of(folder, name, [USER_ID, GROUP])
            had, contacted = _places(rows, user_ids), _places(rows.filter(pc.equal(rows[GROUP], CONTACT)), user_ids)
            if is_recent:
                left.contacts[_CHANNELS.index(Channel(counts.channel)), contacted] += 1
            for number, one in enumerate(running):
                if one.name == name:
                    left.used[number] += counts.contacts
                    left.ruled_out[number, had] = True
                elif name in excluded and excluded[name][names.index(one.name)]:
                    left.ruled_out[number, contacted] = True
    return left


def _places(rows: pa.Table, user_ids: Ints) -> Ints:
    """Where the rows' users stand; those who are gone nowhere."""
    return np.flatnonzero(np.isin(user_ids, rows.column(USER_ID).to_numpy()))


def _tables(asked: Day, reach: Reach, found: Assigned) -> dict[str, pa.Table]:
    ids = np.array([product.product_id for product in asked.catalogue.products])
    tables = {}
    for number, one in enumerate(asked.running):
        users = np.flatnonzero(found.contacts[number] | found.controls[number])
        users = users[np.argsort(-reach.worth[number, users], kind="stable")]
        columns = [
            reach.user_ids[users],
            np.where(found.contacts[number, users], CONTACT, CONTROL),
            ids[reach.product[number, users]],
            reach.score[number, users],
            reach.worth[number, users] / np.float32(one.priority),
            send_after(contact_policy(), one.channel, reach.region[users], now=micros(asked.begins)),
        ]
        arrays = [pa.array(column, kind) for column, kind in zip(columns, records.SCHEMA.types, strict=True)]
        tables[one.name] = pa.table(arrays, schema=records.SCHEMA)
    return tables


def _told(
    asked: Day, reach: Reach, found: Assigned, left: Before, *, policy_hash: str, made_of: str
) -> AssignmentManifest:
    several = found.audience.sum(axis=0) > 1
    counts = {}
    for number, one in enumerate(asked.running):
        contacts = found.contacts[number]
        counts[one.name] = CampaignCounts(
            channel=one.channel.value,
            audience=int(found.audience[number].sum()),
            wanted_elsewhere=int((found.audience[number] & several).sum()),
            held_out=int(found.held_out[number].sum()),
            contacts=int(contacts.sum()),
            controls=int(found.controls[number].sum()),
            budget=one.budget,
            budget_left=max(0, one.budget - int(left.used[number]) - int(contacts.sum())),
            value=float(reach.worth[number, contacts].sum(dtype=np.float64)) / one.priority,
            price=float(found.allocation.prices[number]),
        )
    return AssignmentManifest(
        day=asked.day,
        snapshot_id=asked.snapshot_id,
        policy_hash=policy_hash,
        made_of=made_of,
        contacts_a_channel=asked.contacts_a_channel,
        window_days=asked.window_days,
        users=int(found.contacts.any(axis=0).sum()),
        worth=found.allocation.value,
        bound=found.allocation.bound,
        gap=found.allocation.gap,
        is_exact=found.allocation.is_exact,
        value=sum(one.value for one in counts.values()),
        campaigns=counts,
    )
