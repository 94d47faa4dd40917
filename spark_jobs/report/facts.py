"""Everything a report tells, read once from the lake; what is not there is empty, never an error.

Three things come from elsewhere: `steps.json` beside the report, from whoever ran the night; the newest rolling
evaluation, `{lake}/evaluation/<as-of>/backtest.json`; and what uplift left beside the models (`UPLIFT`).
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from pyarrow import fs

from data_contracts.catalogue import Catalogue
from data_contracts.columns import AS_OF, DAY, ITEM_CODE, ITEM_ID, NAME_EN
from data_contracts.errors import InputError
from data_contracts.manifest import Manifest
from data_contracts.night import parse_snapshot_id
from spark_jobs.lake.commits import last_written_files
from spark_jobs.lake.files import file_exists, file_system, read_bytes
from spark_jobs.lake.landed import landed_events
from spark_jobs.lake.model_documents import model_documents
from spark_jobs.lake.plain import written_of_night
from spark_jobs.lake.snapshot_files import (
    manifest_of,
    personal_lists,
    snapshot_batches,
    snapshot_before,
    snapshot_table,
)
from spark_jobs.lake.tables import table_uri
from spark_jobs.monitoring.feature_drift import DRIFT, DRIFT_COLUMNS
from spark_jobs.monitoring.model_scores import NightScores
from spark_jobs.monitoring.score_drift import SCORE_DRIFT
from spark_jobs.report.seen import ListsSeen, People, lists_seen
from spark_jobs.scoring.snapshot import CATALOGUE, FALLBACK_LISTS, ITEMS, PORTRAITS, USER_STATE

STEPS = "steps.json"
# A document beside the night's models.
UPLIFT = "uplift.json"
_SCORE_DRIFT = (AS_OF, "measure", "against", "psi", "ks", "mean", "mean_then")
_CAMPAIGNS = "silver.campaign_interactions"
_ANSWER_DAYS = 7

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Snapshot:
    """One snapshot, counted. names: of each item, by its code; people (segments,): users by segment."""

    manifest: Manifest
    catalogue: Catalogue
    items: Sequence[str]
    names: Sequence[str]
    seen: ListsSeen
    people: Sequence[int]
    segment_lists: frozenset[int]

    @property
    def products(self) -> int:
        return len(self.catalogue.products)


@dataclass(frozen=True)
class Facts:
    """contacts, answers: what came of campaigns in the last days and of our own answers, (channel, event) -> how often.
    models: documents beside the night's models, by name. drift, score_drift: rows of those tables. scores: tonight's,
    and those of the models' first nights. evaluation: the newest rolling one up to this night.
    """

    now: Snapshot
    before: Snapshot | None
    portraits: Sequence[Row]
    drift: Sequence[Row]
    score_drift: Sequence[Row]
    scores: NightScores | None
    models: Mapping[str, Row]
    evaluation: Row
    contacts: Mapping[tuple[str, str], int]
    contact_days: tuple[str, ...]
    answers: Mapping[tuple[str, str], int]
    steps: Sequence[Row]


def facts_of(lake: str, snapshot_id: str) -> Facts:
    """Raises InputError for a snapshot that is not there or was never sealed."""
    as_of, _ = parse_snapshot_id(snapshot_id)
    snapshot = f"{lake}/snapshots/{snapshot_id}"
    before = snapshot_before(lake, as_of)
    contacts, days = _contacts(lake)
    return Facts(
        now=_counted(snapshot),
        before=None if before is None else _counted(before),
        portraits=snapshot_table(snapshot, PORTRAITS).to_pylist(),
        drift=written_of_night(lake, DRIFT, ["then_as_of", *DRIFT_COLUMNS], as_of),
        score_drift=written_of_night(lake, SCORE_DRIFT, _SCORE_DRIFT, as_of),
        scores=NightScores.read(snapshot),
        models=model_documents(f"{lake}/models/{as_of}"),
        evaluation=_newest_evaluation(lake, as_of),
        contacts=contacts,
        contact_days=days,
        answers=_answers(lake, as_of),
        steps=_steps(f"{lake}/reports/{snapshot_id}/{STEPS}"),
    )


def _counted(snapshot: str) -> Snapshot:
    manifest = manifest_of(snapshot)
    if manifest is None:
        raise InputError(f"{snapshot} has no manifest: it was never finished, run that night first")
    catalogue = Catalogue.model_validate_json(read_bytes(f"{snapshot}/{CATALOGUE}"))
    items = snapshot_table(snapshot, ITEMS).sort_by(ITEM_CODE)
    people = People.of(snapshot_batches(snapshot, USER_STATE))
    fallback = snapshot_table(snapshot, FALLBACK_LISTS).to_pylist()
    values = np.array([product.value for product in catalogue.products], np.float64)
    return Snapshot(
        manifest=manifest,
        catalogue=catalogue,
        items=items.column(ITEM_ID).to_pylist(),
        names=items.column(NAME_EN).to_pylist(),
        seen=lists_seen(personal_lists(snapshot), people, items=items.num_rows, values=values),
        people=np.bincount(people.segments, minlength=1).tolist(),
        segment_lists=frozenset(row["segment"] for row in fallback if row["tier"] == "segment"),
    )


def _newest_evaluation(lake: str, as_of: date) -> Row:
    """Nothing where none was made up to then."""
    system, root = file_system(f"{lake}/evaluation")
    found = system.get_file_info(fs.FileSelector(root, allow_not_found=True))
    for name in sorted((info.base_name for info in found if info.base_name <= as_of.isoformat()), reverse=True):
        uri = f"{lake}/evaluation/{name}/backtest.json"
        if file_exists(uri):
            report: Row = json.loads(read_bytes(uri))
            return report
    return {}


def _contacts(lake: str) -> tuple[Counter[tuple[str, str]], tuple[str, ...]]:
    """Of the days that the last night brought, and those days."""
    uri, counts, days = table_uri(lake, _CAMPAIGNS), Counter[tuple[str, str]](), set[str]()
    for file in last_written_files(uri):
        days.add(str(file.partition.get(DAY)))
        system, path = file_system(file.uri(uri))
        with system.open_input_file(path) as stream:
            for batch in pq.ParquetFile(stream).iter_batches(columns=["channel", "event_type"]):
                counts.update(zip(*(batch.column(name).to_pylist() for name in ("channel", "event_type")), strict=True))
    return counts, tuple(sorted(days))


def _answers(lake: str, as_of: date) -> Counter[tuple[str, str]]:
    """Answers given and feedback on them, as landed in the week before."""
    counts = Counter[tuple[str, str]]()
    days = [as_of - timedelta(days=back) for back in range(1, _ANSWER_DAYS + 1)]
    for topic in ("recommendation.exposures", "recommendation.feedback"):
        for event in landed_events(lake, topic, days):
            counts[event["channel"], event.get("event_type", "answered")] += 1
    return counts


def _steps(uri: str) -> Sequence[Row]:
    try:
        steps: list[Row] = json.loads(read_bytes(uri))
    except FileNotFoundError:
        return []
    return steps
