"""What `recs night` shows: a line an asset with its time, then the snapshot in a few lines."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from rich.console import Console

from dagster_project.files import read_bytes
from dagster_project.reporting import REPORT
from dagster_project.runner import SparkRunner
from data_contracts.errors import GateError
from data_contracts.manifest import MANIFEST_FILE, Manifest
from data_contracts.settings import Settings
from infra.console import console, errors, progress, show_json
from infra.night import AssetDone, NightResult, run_night
from infra.stack import clickhouse


def run_and_show(
    settings: Settings, as_of: date, *, as_json: bool = False, runner: SparkRunner | None = None
) -> NightResult:
    """Run the night with ClickHouse at hand; prints as it goes. Raises the RecsError that stopped it.

    `runner`: see run_night.
    """
    lines: list[dict[str, Any]] = []
    reports: list[str] = []

    with clickhouse(settings) as wired, progress(quiet=as_json) as bars:
        task = bars.add_task(f"night of {as_of}", total=None)

        def tell(done: AssetDone) -> None:
            lines.append(asset_line(done))
            if done.asset == REPORT and "path" in done.metadata:
                reports.append(str(done.metadata["path"]))
            bars.update(task, total=done.total, completed=done.done)
            if not as_json:
                console.print(asset_text(done))

        try:
            result = run_night(wired, as_of, on_asset=tell, runner=runner)
        except GateError:
            # When a snapshot was stopped is when people look at its report.
            _point_to(reports, errors)
            raise
    manifest = manifest_of(settings, result.snapshot_id)
    if as_json:
        seconds = round(result.seconds, 1)
        told = {"assets": lines, "seconds": seconds, "report": reports[-1] if reports else None}
        show_json({**told, "manifest": manifest.model_dump(mode="json")})
    else:
        _summary(manifest, result)
        _point_to(reports, console)
    return result


def _point_to(reports: Sequence[str], where: Console) -> None:
    if reports:
        where.print(f"report: {reports[-1]}", soft_wrap=True)


def manifest_of(settings: Settings, snapshot_id: str) -> Manifest:
    """The manifest of a snapshot in the lake."""
    uri = f"{settings.lake_uri}/snapshots/{snapshot_id}/{MANIFEST_FILE}"
    return Manifest.from_json(read_bytes(uri), where=uri)


def asset_line(done: AssetDone) -> dict[str, Any]:
    """For machines."""
    return {"asset": done.asset, **{name: done.metadata.get(name) for name in ("rows", "quarantined", "job_seconds")}}


def asset_text(done: AssetDone) -> str:
    """For people."""
    seconds, quarantined = done.metadata.get("job_seconds"), done.metadata.get("quarantined") or 0
    rows = done.metadata.get("rows")
    shown = f"{rows:>12,} rows" if isinstance(rows, int) else " " * 17
    time = f"{seconds:>7.1f} s" if isinstance(seconds, float | int) else " " * 9
    warning = f"   [yellow]{quarantined:,} quarantined[/yellow]" if quarantined else ""
    return f"{done.done:>3}/{done.total}  {done.asset:<32}{shown}{time}{warning}"


def _summary(manifest: Manifest, result: NightResult) -> None:
    tables = manifest.tables
    console.print(
        f"\n[bold green]snapshot {manifest.snapshot_id} is current[/bold green] after {result.seconds:.0f} s: "
        f"{tables['user_state'].rows:,} users, {tables['lists'].rows:,} personal lists, "
        f"{tables['fallback_lists'].rows} fallback lists, {tables['items'].rows:,} items"
    )
    scored = ", ".join(f"{name} {version}" for name, version in manifest.versions.registered.items())
    console.print(f"scored by {scored or 'models of this night alone'}")
    checks = manifest.gate.checks
    console.print(f"gate passed: {', '.join(check.name for check in checks)}")
