"""Repairing a day: exactly what depends on a change becomes stale, nothing is published by the way."""

from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from dagster_project.assets import features, ingest
from dagster_project.definitions import BACKFILL_JOB, REPAIR_JOB, build_defs
from dagster_project.publishing import reason_not_to_publish
from data_contracts.settings import Settings
from tests.integration.dagster_fakes import QUIET, FakeRunner, settings_in

_DAY, _NEXT = "2026-03-15", "2026-03-16"
_FEATURES = [dg.AssetKey(name.split("/")) for name in features.OUTPUTS]
_INGEST = [dg.AssetKey(name.split("/")) for name in ingest.OUTPUTS]


class Lake:
    """Two nights that were made, of which one can be made again."""

    def __init__(self, folder: Path) -> None:
        self.runner = FakeRunner()
        self.instance = dg.DagsterInstance.ephemeral()
        self.defs = build_defs(settings_in(folder), resources={"spark_runner": self.runner})
        for day in (_DAY, _NEXT):
            self.make(day)

    def make(self, day: str, *, only: list[dg.AssetKey] | None = None) -> None:
        job = self.defs.resolve_job_def(REPAIR_JOB)
        made = job.execute_in_process(instance=self.instance, partition_key=day, asset_selection=only, run_config=QUIET)
        assert made.success

    def stale(self, day: str) -> set[str]:
        graph = self.defs.resolve_asset_graph()
        made = self.defs.resolve_job_def(REPAIR_JOB).asset_layer.selected_asset_keys
        resolver = CachingStaleStatusResolver(self.instance, graph, LoadingContextForTest(self.instance))
        statuses = {key.to_user_string(): resolver.get_status(key, day) for key in made}
        assert StaleStatus.MISSING not in statuses.values()
        return {name for name, status in statuses.items() if status is StaleStatus.STALE}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def test_a_day_read_again_without_a_change_makes_nothing_stale(lake: Lake) -> None:
    assert lake.stale(_DAY) == lake.stale(_NEXT) == set()
    lake.make(_DAY, only=_INGEST)
    assert lake.stale(_DAY) == lake.stale(_NEXT) == set()


def test_a_changed_table_makes_exactly_its_dependents_of_that_night_stale(lake: Lake) -> None:
    lake.runner.contents["silver/reasons"] = "other reasons"
    lake.make(_DAY, only=_INGEST)
    assert lake.stale(_DAY) == {"snapshot/personal", "snapshot/segment", "snapshot/popular"}
    lake.runner.contents["silver/interactions"] = "a day delivered again"
    lake.make(_DAY, only=_INGEST)
    learnt = {"gold/user_behaviour", "gold/user_history", "ranker", "calibrator"}
    assert lake.stale(_DAY) == {"snapshot/personal", "snapshot/segment", "snapshot/popular", *learnt}
    assert lake.stale(_NEXT) == set()


def test_what_is_made_again_makes_the_next_step_stale(lake: Lake) -> None:
    lake.runner.contents["silver/interactions"] = "a day delivered again"
    lake.make(_DAY, only=[*_INGEST, *_FEATURES])
    assert lake.stale(_DAY) >= {"retrieval_model", "gold/user_vectors", "ranker", "snapshot/user_state"}
    assert not lake.stale(_DAY) & {key.to_user_string() for key in _FEATURES}
    lake.make(_DAY)
    assert lake.stale(_DAY) == set()


def test_the_repair_job_publishes_nothing_and_keeps_no_house() -> None:
    defs = build_defs(Settings())
    left_out = defs.resolve_asset_graph().materializable_asset_keys - set(
        defs.resolve_job_def(REPAIR_JOB).asset_layer.selected_asset_keys
    )
    upkeep = {dg.AssetKey(["lake", name]) for name in ("maintenance", "old_snapshots")}
    assert left_out == {dg.AssetKey(["snapshot", "published"]), *upkeep}


def test_the_backfill_job_makes_the_features_of_a_range_in_one_run(tmp_path: Path) -> None:
    runner, instance = FakeRunner(), dg.DagsterInstance.ephemeral()
    job = build_defs(settings_in(tmp_path), resources={"spark_runner": runner}).resolve_job_def(BACKFILL_JOB)
    span = {"dagster/asset_partition_range_start": _DAY, "dagster/asset_partition_range_end": _NEXT}
    tags = {**span, "recs/rebuild": "yes"}
    assert job.execute_in_process(instance=instance, tags=tags, run_config=QUIET).success
    assert runner.ran == [("features", _NEXT)]
    assert (runner.params[0].backfill_from, runner.params[0].rebuild) == (date.fromisoformat(_DAY), True)
    for key in _FEATURES:
        assert instance.get_materialized_partitions(key) == {_DAY, _NEXT}


def test_a_backfill_in_the_ui_takes_a_run_a_night() -> None:
    """Without a policy Dagster makes a run a partition; with one the UI calls a single night a backfill too."""
    graph = build_defs(Settings()).resolve_asset_graph()
    assert {graph.get(key).backfill_policy for key in graph.materializable_asset_keys} == {None}


@pytest.mark.parametrize(
    ("tags", "current", "says"),
    [
        ({}, None, None),
        ({}, "2026-03-15.1", None),
        ({}, "2026-03-14.7", None),
        ({}, "2026-03-16.1", "2026-03-16.1, which is served, is newer"),
        ({"dagster/backfill": "b"}, None, "a backfill repairs the past"),
        ({"dagster/backfill": "b", "recs/publish": "yes"}, "2026-03-16.1", None),
        ({"recs/publish": "no"}, None, "tagged recs/publish=no"),
    ],
)
def test_only_a_night_or_a_run_that_was_asked_to_moves_the_pointer(
    tags: dict[str, str], current: str | None, says: str | None
) -> None:
    reason = reason_not_to_publish(tags, as_of=date.fromisoformat(_DAY), current=current)
    assert (reason is None) == (says is None)
    assert says is None or says in str(reason)
