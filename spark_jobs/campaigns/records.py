"""Assignments in the lake: `{lake}/campaigns/<date>/<snapshot>/<campaign>.parquet`, and `manifest.json` last.

A folder without a manifest is no assignment. Rows are in the order of what a contact is worth, best first; null in
`send_after` is from the beginning of the day on.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from data_contracts.catalogue import Rules
from data_contracts.columns import PRODUCT_ID, USER_ID
from data_contracts.errors import InputError
from data_contracts.overlay import EVENTS
from spark_jobs.lake.files import delete_folder, file_system, read_bytes, write_bytes

MANIFEST = "manifest.json"
GROUP, CONTACT, CONTROL = "group", "contact", "control"
SCHEMA = pa.schema(
    [
        pa.field(USER_ID, pa.int64(), nullable=False),
        pa.field(GROUP, pa.string(), nullable=False),
        pa.field(PRODUCT_ID, pa.string(), nullable=False),
        pa.field("score", pa.float32(), nullable=False),
        pa.field("value", pa.float32(), nullable=False),
        pa.field("send_after", pa.timestamp("us", "UTC")),
    ]
)


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CampaignCounts(_Value):
    """Of one campaign: users and roubles. `wanted_elsewhere`: of the audience, whom another campaign may ask too."""

    channel: str
    audience: int
    wanted_elsewhere: int
    held_out: int
    contacts: int
    controls: int
    budget: int
    budget_left: int
    value: float
    price: float


class AssignmentManifest(_Value):
    """`worth`: the objective, value weighted by priorities; no allocation is worth more than `bound`.

    `made_of`: hash of everything the assignment was made of; equal hashes, equal files. No clock has a say.
    """

    day: date
    snapshot_id: str
    policy_hash: str
    made_of: str
    contacts_a_channel: int
    window_days: int
    users: int
    worth: float
    bound: float
    gap: float
    is_exact: bool
    value: float
    campaigns: dict[str, CampaignCounts]

    def to_json(self) -> bytes:
        return (self.model_dump_json(indent=2) + "\n").encode()


def folder_of(lake: str, day: date, snapshot_id: str) -> str:
    return f"{lake}/campaigns/{day.isoformat()}/{snapshot_id}"


def manifest_in(folder: str) -> AssignmentManifest | None:
    """None where nothing, or only half, was written. Raises InputError for a broken one."""
    try:
        return AssignmentManifest.model_validate_json(read_bytes(f"{folder}/{MANIFEST}"))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise InputError(f"{folder}/{MANIFEST} is no assignment's manifest: {error.errors()[0]['msg']}") from error


def assignments(lake: str) -> Iterator[tuple[str, AssignmentManifest]]:
    """Folders of all that were finished, by day."""
    system, root = file_system(f"{lake}/campaigns")
    for info in sorted(system.get_file_info(fs.FileSelector(root, allow_not_found=True)), key=lambda one: one.path):
        if info.type == fs.FileType.Directory:
            inside = system.get_file_info(fs.FileSelector(info.path))
            for name in sorted(one.base_name for one in inside if one.type == fs.FileType.Directory):
                folder = f"{lake}/campaigns/{info.base_name}/{name}"
                if (manifest := manifest_in(folder)) is not None:
                    yield folder, manifest


def events_known(lake: str, day: date) -> pa.Table:
    """EVENTS as Dagster left them for the day's job, which knows no database: `campaigns/<date>/events.parquet`."""
    system, path = file_system(f"{lake}/campaigns/{day.isoformat()}/events.parquet")
    with system.open_input_file(path) as file:
        return pq.read_table(file, schema=EVENTS)


def rules_known(lake: str, day: date) -> Rules | None:
    """The rules that are served, likewise: `campaigns/<date>/rules.json`; None where they are not there."""
    text = _left(lake, day, "rules.json")
    return None if text is None else Rules.model_validate_json(text)


def approved_known(lake: str, day: date) -> Mapping[str, str]:
    """Approved campaigns, likewise: `campaigns/<date>/approved.json`, documents by name; none where it is not there."""
    text = _left(lake, day, "approved.json")
    return {} if text is None else TypeAdapter(dict[str, str]).validate_json(text)


def _left(lake: str, day: date, name: str) -> bytes | None:
    try:
        return read_bytes(f"{lake}/campaigns/{day.isoformat()}/{name}")
    except FileNotFoundError:
        return None


def write(folder: str, tables: dict[str, pa.Table], manifest: AssignmentManifest) -> None:
    """Replaces what a killed attempt left, or an assignment that is no longer wanted."""
    delete_folder(folder)
    for name, table in sorted(tables.items()):
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        write_bytes(f"{folder}/{name}.parquet", sink.getvalue().to_pybytes())
    write_bytes(f"{folder}/{MANIFEST}", manifest.to_json())


def rows_of(folder: str, campaign: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Of one campaign; none where it did not run."""
    system, path = file_system(f"{folder}/{campaign}.parquet")
    if system.get_file_info(path).type == fs.FileType.NotFound:
        return SCHEMA.empty_table().select(columns or SCHEMA.names)
    with system.open_input_file(path) as file:
        return pq.read_table(file, columns=columns)
