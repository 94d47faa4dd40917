"""Runs a night here: the same asset graph that the UI shows, in one process, with a line an asset as it goes."""

import os
import signal
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from dagster_project.definitions import BACKFILL_JOB, NIGHT_JOB, build_defs
from dagster_project.job_assets import REBUILD_TAG
from dagster_project.launching import launching
from dagster_project.publishing import PUBLISH
from dagster_project.runner import SparkRunner
from dagster_project.storage import YAML as DATABASE_YAML
from data_contracts.errors import BusyError, GateError, InputError, RecsError, UnavailableError
from data_contracts.settings import Settings
from infra.dagster_runs import beating, close_dead_runs, process_tags

_POLL_SECONDS = 0.3
_DAGSTER_YAML = Path(__file__).parent / "local" / "dagster.yaml"
# Events go to Dagster's own log, where the UI finds them; the terminal gets a line an asset.
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_ERRORS = {error.exit_code: error for error in (InputError, GateError, BusyError, UnavailableError)}


@dataclass(frozen=True)
class AssetDone:
    """One asset was made: its key, what its job reported, and the seconds of that job."""

    asset: str
    metadata: Mapping[str, Any]
    done: int
    total: int


@dataclass(frozen=True)
class NightResult:
    snapshot_id: str
    seconds: float


def run_night(
    settings: Settings, as_of: date, *, on_asset: Callable[[AssetDone], None], runner: SparkRunner | None = None
) -> NightResult:
    """Materialise the night of `as_of`. Raises the RecsError that stopped it; yesterday's snapshot stays current.

    `runner`: one that is `launching` already, for several nights in a row; else the night has its own.
    """
    started = time.monotonic()
    made = _run(settings, NIGHT_JOB, tags=PUBLISH, on_asset=on_asset, partition_key=as_of.isoformat(), runner=runner)
    return NightResult(str(made["snapshot/published"]["snapshot_id"]), seconds=time.monotonic() - started)


def run_backfill(
    settings: Settings, first: date, last: date, *, rebuild: bool, on_asset: Callable[[AssetDone], None]
) -> None:
    """Make the features of every as-of from `first` to `last`. Raises the RecsError that stopped it."""
    span = {ASSET_PARTITION_RANGE_START_TAG: first.isoformat(), ASSET_PARTITION_RANGE_END_TAG: last.isoformat()}
    _run(settings, BACKFILL_JOB, tags={**span, REBUILD_TAG: "yes" if rebuild else "no"}, on_asset=on_asset)


def _run(
    settings: Settings,
    name: str,
    *,
    tags: Mapping[str, str],
    on_asset: Callable[[AssetDone], None],
    partition_key: str | None = None,
    runner: SparkRunner | None = None,
) -> dict[str, Mapping[str, Any]]:
    """Run a job of the graph here; the metadata of what it materialised. Raises the RecsError that stopped it."""
    warnings.simplefilter("ignore", dg.PreviewWarning)
    with (
        _ends_politely(),
        # First: Spark starts while Dagster does.
        launching(settings) if runner is None else nullcontext(runner) as spark,
        _dagster_home(settings) as instance,
    ):
        job = build_defs(settings, resources={"spark_runner": spark}).resolve_job_def(name)
        run_id = str(uuid.uuid4())
        total = len(list(job.asset_layer.executable_asset_keys))
        with beating(instance, run_id), _watched(instance, run_id, total=total, on_asset=on_asset):
            result = job.execute_in_process(
                run_config=_QUIET,
                partition_key=partition_key,
                instance=instance,
                run_id=run_id,
                tags={**tags, **process_tags()},
                raise_on_error=False,
            )
        if not result.success:
            raise _reason(result)
        return _materialized(instance, run_id)


@contextmanager
def _ends_politely() -> Iterator[None]:
    """A request to end, as a supervisor sends it, is to this block what Ctrl-C is: the running job is stopped too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _dagster_home(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The instance that `recs dev` shows too, so that nights run here appear in the UI."""
    home = dagster_home(settings)
    os.environ["DAGSTER_HOME"] = str(home)
    with dg.DagsterInstance.get() as instance:
        close_dead_runs(instance, untagged=False)
        yield instance


def dagster_home(settings: Settings) -> Path:
    """Folder of Dagster's configuration and, without RECS_DAGSTER_DATABASE, of its runs and events."""
    home = (settings.data_dir / "dagster").absolute()
    home.mkdir(parents=True, exist_ok=True)
    config, wanted = home / "dagster.yaml", _DAGSTER_YAML.read_text(encoding="utf-8")
    if settings.dagster_database is not None:
        wanted += DATABASE_YAML
    if not config.exists() or config.read_text(encoding="utf-8") != wanted:
        config.write_text(wanted, encoding="utf-8")
    return home


@contextmanager
def _watched(
    instance: dg.DagsterInstance, run_id: str, *, total: int, on_asset: Callable[[AssetDone], None]
) -> Iterator[None]:
    """Call `on_asset` for each materialisation of the run, as it happens."""
    stop = threading.Event()
    told: set[str] = set()

    def tell_news() -> None:
        for asset, metadata in _materialized(instance, run_id).items():
            if asset not in told:
                told.add(asset)
                on_asset(AssetDone(asset, metadata, done=len(told), total=total))

    def poll() -> None:
        while not stop.wait(_POLL_SECONDS):
            tell_news()

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        tell_news()


def _materialized(instance: dg.DagsterInstance, run_id: str) -> dict[str, Mapping[str, Any]]:
    """Asset key -> metadata values, in the order of the events."""
    records = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    found: dict[str, Mapping[str, Any]] = {}
    for record in records:
        event = record.dagster_event
        if event is not None and event.asset_key is not None:
            metadata = event.step_materialization_data.materialization.metadata
            found[event.asset_key.to_user_string()] = {name: value.value for name, value in metadata.items()}
    return found


def _reason(result: dg.ExecuteInProcessResult) -> RecsError:
    """The error that a failed step meant, with its exit code."""
    for event in result.all_events:
        if not event.is_step_failure:
            continue
        data = event.step_failure_data
        if data.user_failure_data is not None:
            code = data.user_failure_data.metadata.get("exit_code")
            kind = _ERRORS.get(int(str(code.value)), RecsError) if code is not None else RecsError
            return kind(data.user_failure_data.description or "the step gave no reason")
        if data.error is not None:
            return RecsError(f"{event.step_key}: {data.error.message.strip()}")
    return RecsError("the night failed before its first step: see the run in the Dagster UI")
