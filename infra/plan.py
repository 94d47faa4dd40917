"""The command `recs plan`: what a night of a bank's size needs and costs, from what was measured here."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from data_contracts.errors import InputError
from infra.console import console, show, show_json
from infra.options import AsJson
from infra.sizing import Assumptions, Load, Need, Units, need_of, units_of

_HERE = Path(__file__).parent
_RESULTS = _HERE / "bench" / "results"
_PRICES = ("core_hour", "gb_memory_hour", "ssd_gb_month", "storage_gb_month")


def plan(
    users: Annotated[float, typer.Option(min=1, help="Everybody who gets a list, such as 44e6.")],
    items: Annotated[int, typer.Option(min=1, help="Bank products; each is scored for everybody.")] = 300,
    offers: Annotated[int, typer.Option(min=0, help="Partner offers that candidates are looked for in.")] = 100_000,
    events_per_day: Annotated[
        float | None, typer.Option(min=0, help="Of all users together. [default: 3 a user]")
    ] = None,
    history_days: Annotated[int, typer.Option(min=1, help="Days of events that the lake keeps.")] = 400,
    hours: Annotated[float, typer.Option(min=0.5, help="Hours that a night may take.")] = 4.0,
    prices: Annotated[Path, typer.Option(help="YAML file with prices, their source and date.")] = _HERE / "prices.yaml",
    as_json: AsJson = False,
) -> None:
    """Cores, memory, hours, storage and roubles of a night of this size, with all that is assumed.

    Example: `recs plan --users 44e6 --items 300 --offers 100000 --events-per-day 104e6`
    """
    load = Load(users, items, offers, 3 * users if events_per_day is None else events_per_day, history_days)
    units, given, known = units_of(bench_results()), replace(Assumptions(), hours=hours), read_prices(prices)
    need = need_of(load, units, given, known)
    if as_json:
        show_json({"need": asdict(need), "assumed": asdict(given), "measured": asdict(units), "prices": known})
        return
    show(_rows(need), as_json=False, title=f"a night of {users:,.0f} users")
    show(_bases(load, units, given, known), as_json=False, title="from what")
    console.print(
        "None of this was run at that size: it is arithmetic from nights of up to a million users on two cores. Run "
        "one night at a tenth of it on a cluster before you buy."
    )


def bench_results() -> dict[str, dict[str, float]]:
    """Bench -> figure -> value, as `make bench` left them."""
    found = {path.stem: json.loads(path.read_text(encoding="utf-8"))["figures"] for path in _RESULTS.glob("*.json")}
    return {bench: {figure["name"]: figure["value"] for figure in figures} for bench, figures in found.items()}


def read_prices(path: Path) -> dict[str, Any]:
    """Raises InputError for a file that is none, or lacks a price."""
    try:
        prices = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read as YAML: {error}") from error
    numbers = prices if isinstance(prices, dict) else {}
    bad = [name for name in _PRICES if not isinstance(numbers.get(name), int | float) or numbers[name] < 0]
    if bad or not {"source", "date"} <= numbers.keys():
        raise InputError(f"{path} needs {', '.join(_PRICES)} as numbers, and their source and date; wrong: {bad}")
    return numbers


def _rows(need: Need) -> list[dict[str, Any]]:
    found = {
        **{f"core hours: {part}": f"{hours:,.1f}" for part, hours in need.core_hours.items()},
        "cluster": f"{need.hosts} hosts, {need.cores} cores, {need.memory_gb:,.0f} GB of memory",
        "hours a night, start of the cluster included": f"{need.hours:.1f}",
        "shuffled": f"{need.shuffle_gb:,.0f} GB",
        "spark.sql.shuffle.partitions": f"{need.partitions:,}",
        "largest partition": f"{need.largest_partition_mb:,.0f} MB, {need.skew:.2f} times the mean (simulated)",
        "ClickHouse loads and verifies": f"{need.clickhouse_seconds:,.0f} s, {need.clickhouse_gb:,.1f} GB a snapshot",
        "lake": f"{need.lake_gb:,.0f} GB",
        **{f"roubles a month: {part}": f"{cost:,.0f}" for part, cost in need.monthly.items()},
        "roubles a month": f"{sum(need.monthly.values()):,.0f}",
    }
    return [{"what": name, "need": value} for name, value in found.items()]


def _bases(load: Load, units: Units, given: Assumptions, prices: dict[str, Any]) -> list[dict[str, Any]]:
    parts = {"asked for": asdict(load), "measured": asdict(units), "assumed": asdict(given), "prices": prices}
    return [
        {"basis": basis, "name": name, "value": f"{value:,.10g}" if isinstance(value, float) else str(value)}
        for basis, values in parts.items()
        for name, value in values.items()
    ]
