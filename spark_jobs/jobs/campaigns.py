"""Job `campaigns`: the night's snapshot assigned to the campaigns of its day; see spark_jobs/campaigns. Needs no Spark.

The catalogue is the snapshot's. What events keep back lies in `{lake}/campaigns/<date>/events.parquet`, and beside it
the campaigns' files, the rules that are served and the campaigns that two people made by API; stops are `params.stops`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pyarrow import fs

from data_contracts.campaigns import campaigns_in
from data_contracts.catalogue import Rules
from data_contracts.night import NightParams
from spark_jobs.campaigns.day import Day, assign_day
from spark_jobs.campaigns.records import approved_known, assignments, events_known, folder_of, rules_known
from spark_jobs.campaigns.snapshot import known_by
from spark_jobs.jobs.runner import JobReport, TableReport, main_without_spark
from spark_jobs.lake.files import file_system, read_bytes

_NAME = "assigned"


def run(params: NightParams) -> JobReport:
    """Nothing is written on a day without campaigns, or on one that is assigned already, maybe by an earlier attempt at
    the night: CRM may have pulled that. Raises InputError for campaigns that contradict themselves.
    """
    known = known_by(params.snapshot_uri)
    with _brought(params.campaigns) as folder:
        campaigns = campaigns_in(folder, known=known, approved=approved_known(params.lake, params.as_of))
    asked = Day(
        lake=params.lake,
        snapshot_id=params.snapshot_id,
        day=params.as_of,
        campaigns=campaigns,
        catalogue=known.catalogue,
        rules=rules_known(params.lake, params.as_of)
        or Rules.model_validate_json(read_bytes(f"{params.snapshot_uri}/rules.json")),
        stops=params.stops,
        events=events_known(params.lake, params.as_of),
        late_days=params.late_days,
        timezone=params.timezone,
    )
    if not asked.running:
        return JobReport(tables={_NAME: TableReport(rows=0, details={"why": "no campaign runs on this day"})})
    kept = next((told for _, told in assignments(params.lake) if told.day == asked.day), None)
    told = kept or assign_day(asked)
    details = {
        "contacts": {name: one.contacts for name, one in told.campaigns.items()},
        "controls": {name: one.controls for name, one in told.campaigns.items()},
        "conflicts": {name: one.wanted_elsewhere for name, one in told.campaigns.items()},
        "gap": told.gap,
        "roubles": round(told.value),
        "folder": folder_of(params.lake, told.day, told.snapshot_id),
        **({"why": "the day was assigned before; recs campaigns assign --replace does it anew"} if kept else {}),
    }
    rows = sum(one.contacts + one.controls for one in told.campaigns.values())
    return JobReport(tables={_NAME: TableReport(rows=rows, fingerprint=told.made_of, details=details)})


@contextmanager
def _brought(uri: str | None) -> Iterator[Path | None]:
    """The campaigns' files in a folder of this machine, while the block lasts."""
    if uri is None:
        yield None
        return
    system, path = file_system(uri)
    with TemporaryDirectory(prefix="campaigns-") as folder:
        for file in system.get_file_info(fs.FileSelector(path, allow_not_found=True)):
            if file.extension == "yaml":
                (Path(folder) / file.base_name).write_bytes(read_bytes(f"{uri}/{file.base_name}"))
        yield Path(folder)


if __name__ == "__main__":
    main_without_spark(run)
