"""`recs experiment`: what runs, and what came of it, by ClickHouse's day logs or those that landed in the lake."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from data_contracts.errors import InputError
from data_contracts.experiments import Experiment, experiments_in
from data_contracts.settings import Settings
from infra.console import console, show, show_json
from infra.options import AsJson, DataDir, settings_of

app = typer.Typer(no_args_is_help=True, help="Experiments: which there are, and their reports.")

Folder = Annotated[Path | None, typer.Option("--experiments", help="Folder of YAML files. [default: RECS_EXPERIMENTS]")]
Name = Annotated[str, typer.Argument(help="Name of the experiment.")]
# Of what users took before the start; CUPED takes it off.
_BEFORE = timedelta(days=28)


class Source(StrEnum):
    """Where a report's exposures and feedback are read."""

    CLICKHOUSE = "clickhouse"
    LAKE = "lake"


_ELSEWHERE = {
    Source.CLICKHOUSE: "where RECS_EVENTS_TO=kafka they land in the lake, --from lake",
    Source.LAKE: "recs land brings them there from Kafka; those written directly are in ClickHouse, --from clickhouse",
}
# How long ClickHouse keeps exposures.
_KEPT = timedelta(days=45)


@app.command("list")
def list_(experiments: Folder = None, as_json: AsJson = False) -> None:
    """List the experiments and whether they run.

    Example: `recs experiment list`
    """
    settings = settings_of(experiments=experiments)
    show([_row(one, settings) for one in experiments_in(settings.experiments)], as_json=as_json, title="experiments")


@app.command("show")
def show_one(name: Name, experiments: Folder = None, as_json: AsJson = False) -> None:
    """Show everything that is said of an experiment.

    Example: `recs experiment show lists`
    """
    one = _named(name, settings_of(experiments=experiments))
    if as_json:
        show_json(one.model_dump(mode="json"))
        return
    show([{"field": field, "value": value} for field, value in one.model_dump(mode="json").items()], as_json=False)


@app.command()
def report(
    name: Name,
    off_policy: Annotated[
        str, typer.Option(help="Also estimate, from explored answers, an order: unexplored or by_score.")
    ] = "",
    source: Annotated[
        Source | None, typer.Option("--from", help="Where exposures and feedback lie. [default: by RECS_EVENTS_TO]")
    ] = None,
    experiments: Folder = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Compare an experiment's arms: rates, differences with 95 % intervals, guardrails, and a verdict in words.

    Reads ClickHouse, or, where events go to Kafka, what `recs land` has left in the lake.

    Examples: `recs experiment report lists --json`, `recs experiment report lists --from lake`
    """
    settings = settings_of(data_dir=data_dir, experiments=experiments)
    found = report_of(_named(name, settings), settings, off_policy=off_policy, source=source)
    if as_json:
        show_json(found)
        return
    show(list(_arms(found)), as_json=False, title=f"{name}: {found['from']} to {found['until']}")
    for line in (*_words(found), f"verdict: {found['verdict']}"):
        console.print(line, soft_wrap=True)


def report_of(
    one: Experiment, settings: Settings, *, off_policy: str = "", source: Source | None = None
) -> dict[str, Any]:
    """The report as JSON. Raises InputError where it has not begun, or has too few users."""
    from spark_jobs.evaluation.experiment_report import experiment_report

    now = datetime.now(UTC)
    start, end = (_midnight(day, settings) for day in (one.start, one.end))
    if now <= start:
        raise InputError(f"experiment {one.name} starts on {one.start}: there is nothing to report yet")
    source = source or (Source.LAKE if settings.events_to == "kafka" else Source.CLICKHOUSE)
    exposures, feedback = _log(one, settings, source, start=start, until=min(end, now))
    if not exposures.num_rows:
        raise InputError(
            f"the {source} has no answer of {one.name} between {one.start} and {one.end}: {_ELSEWHERE[source]}"
        )
    found = experiment_report(one, exposures, feedback, start=start).as_json()
    is_cut = source is Source.CLICKHOUSE and now - start > _KEPT
    return {
        **found,
        "from": start.isoformat(),
        "until": min(end, now).isoformat(),
        "source": source.value,
        "notes": ["exposures of its first days are no longer kept"] if is_cut else [],
        **({"off_policy": _off_policy(exposures, feedback, off_policy)} if off_policy else {}),
    }


def _log(one: Experiment, settings: Settings, source: Source, *, start: datetime, until: datetime) -> tuple[Any, Any]:
    """Exposures and feedback, as Arrow tables."""
    if source is Source.LAKE:
        from spark_jobs.evaluation.landed_log import landed_log

        landed = landed_log(settings.lake_uri, one, start=start, until=until, before=_BEFORE)
        return landed.exposures, landed.feedback
    from sql.client import Address, connected
    from sql.experiment_log import experiment_log

    with connected(Address.of(settings)) as store:
        log = experiment_log(store, one, start=start, until=until, before=_BEFORE)
    return log.exposures, log.feedback


def _off_policy(exposures: Any, feedback: Any, asked: str) -> dict[str, Any]:
    """The estimates, or why there are none."""
    from spark_jobs.evaluation.exploration_log import Target, logged_exposures
    from spark_jobs.evaluation.off_policy import off_policy

    if asked not in set(Target):
        raise InputError(f"--off-policy: {asked} is none of {', '.join(Target)}")
    clicks = {(one["rec_id"], one["item_id"]) for one in feedback.to_pylist() if one["event_type"] == "clicked"}
    try:
        found = asdict(off_policy(logged_exposures(exposures, clicks, target=Target(asked))))
    except InputError as error:
        return {"target": asked, "refused": str(error)}
    return {"target": asked, **found}


def _named(name: str, settings: Settings) -> Experiment:
    found = {one.name: one for one in experiments_in(settings.experiments)}
    if name not in found:
        raise InputError(f"no experiment {name}; there are: {', '.join(found) or 'none'}")
    return found[name]


def _midnight(day: date, settings: Settings) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(settings.timezone))


def _row(one: Experiment, settings: Settings) -> dict[str, Any]:
    today = datetime.now(ZoneInfo(settings.timezone)).date()
    state = "runs" if one.runs_on(today) else "is over" if today >= one.end else "to come"
    return {
        "name": one.name,
        "state": state if one.enabled else "off",
        "layer": one.layer,
        "traffic": "{:g} to {:g}".format(*one.traffic),
        "arms": ", ".join(f"{name} {arm.share:g}" for name, arm in one.arms.items()),
        "start": one.start.isoformat(),
        "end": one.end.isoformat(),
        "metric": one.metric.value,
    }


def _arms(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name, arm in found["arms"].items():
        yield {
            "arm": name,
            "users": arm["users"],
            "exposures": arm["exposures"],
            "ctr": _interval(arm["ctr"]),
            "conversion": _interval(arm["conversion"]),
            "ctr −control": _interval(arm.get("ctr_difference")),
            "conversion −control": _interval(arm.get("conversion_difference")),
            "with CUPED": _interval(arm.get("conversion_difference_cuped")),
        }


def _interval(one: dict[str, float] | None) -> str:
    return "" if one is None else f"{one['value']:.4f} ({one['low']:.4f} to {one['high']:.4f})"


def _words(found: dict[str, Any]) -> Iterator[str]:
    yield f"users in the arms by their shares: p = {found['sample_ratio_p']:.3g}"
    for arm, rails in found["guardrails"].items():
        for name, one in rails.items():
            yield f"guardrail {name}, {arm} −control: {_interval(one)}"
    for arm, share in found["answers_of_variant"].items():
        yield f"answers of {arm} from the lists that it names: {share:.1%}"
    for name in ("users_in_two_arms", "users_in_unknown_arms", "users_misdealt"):
        if found[name]:
            yield f"{name.replace('_', ' ')}: {found[name]}; the experiment's file changed while it ran?"
    yield from found["notes"]
    told = found.get("off_policy", {})
    if "refused" in told:
        yield f"off-policy {told['target']}: refused: {told['refused']}"
    elif told:
        parts = ", ".join(f"{name} {_interval(told[name])}" for name in ("ips", "snips", "doubly_robust"))
        size = f"{told['effective_size']:.0f} effective, overlap {told['overlap']:.2f}"
        yield f"off-policy {told['target']}, clicks an item shown: {parts} ({size})"
