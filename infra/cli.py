"""The command `recs`. It only wires: options to settings, settings to the parts, results to the screen."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from data_contracts.errors import RecsError
from data_contracts.night import Train
from data_contracts.settings import Settings
from data_contracts.vocabulary import Channel, Kind
from infra import campaigns, contracts, experiments, exporting, lists, people, served
from infra.backfill import backfill
from infra.backtest import backtest
from infra.backup import commands as backing
from infra.console import errors, progress, show, show_json
from infra.features import features
from infra.grants import grants
from infra.landing import register as register_landing
from infra.models import demote, models, promote
from infra.options import AsJson, DataDir, settings_of
from infra.overlay import overlay as overlay_command
from infra.plan import plan
from infra.report import report
from infra.retrain import retrain
from infra.suppress import suppress
from infra.tokens import token
from infra.topics import topics as topics_command

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Nightly recommendations for a bank: build a world, run a night, publish it, ask it.",
    rich_markup_mode="markdown",
)

WithKafka = Annotated[
    bool | None,
    typer.Option(
        "--kafka/--no-kafka",
        help="A Kafka broker of its own at RECS_KAFKA_BOOTSTRAP. [default: where the overlay finds none]",
    ),
]
WithOverlay = Annotated[bool, typer.Option("--overlay/--no-overlay", help="Bring Kafka's events into answers.")]
Horizon = Annotated[
    int | None, typer.Option(min=1, help="Days ahead that products are about. [default: the world's, else the setting]")
]
Day = Annotated[datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="As-of date D; sees days before D.")]

# T-ECD's day 1297, so that a world and the published days share one calendar.
WORLD_END = datetime(2026, 3, 16)


def main() -> None:
    """Entry point: an error that is meant for people is one line and an exit code."""
    try:
        app()
    except RecsError as error:
        errors.print(f"[red]error:[/red] {error}", soft_wrap=True)
        sys.exit(error.exit_code)


@app.command()
def settings(as_json: AsJson = False) -> None:
    """Print every setting with its source; secrets masked.

    Example: `recs settings`
    """
    from infra.settings_view import settings_rows

    show(settings_rows(Settings()), as_json=as_json)


@app.command()
def world(
    out: Annotated[Path, typer.Option(help="Folder to write; refused when it holds something else.")],
    users: Annotated[int, typer.Option(min=10)] = 20_000,
    days: Annotated[int, typer.Option(min=2, help="Days before the last date.")] = 60,
    seed: int = 7,
    last_date: Annotated[
        datetime, typer.Option("--date", formats=["%Y-%m-%d"], help="The world ends here.")
    ] = WORLD_END,
    horizon_days: Annotated[int, typer.Option(min=1, help="Days ahead that the truth is about.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Write a sample world: T-ECD, DWH exports, bank events, reference data and the truth.

    Example: `recs world --users 20000 --days 60 --seed 7 --out world`
    """
    from infra.local.world import generate

    with progress(quiet=as_json) as bars:
        task = bars.add_task("world", total=1.0)
        made = generate(
            out,
            users=users,
            days=days,
            seed=seed,
            last_date=last_date.date(),
            horizon_days=horizon_days,
            progress=lambda what, share: bars.update(task, description=what, completed=share),
        )
    rows = [{"table": name, "rows": count} for name, count in made.rows.items()]
    if as_json:
        show_json({"path": str(made.path), "made": made.made, "date": made.last_date, "rows": made.rows})
        return
    show(rows, as_json=False, title=f"{made.path}: days {made.first_day} up to {made.last_date} (exclusive)")


@app.command()
def night(
    day: Day = None,
    day_number: Annotated[int | None, typer.Option("--day", help="The same as T-ECD's day number.")] = None,
    world_dir: Annotated[
        Path | None, typer.Option("--world", help="A folder of `recs world`: all its sources.")
    ] = None,
    tecd: Annotated[str | None, typer.Option(help="URI of T-ECD.")] = None,
    dwh: Annotated[str | None, typer.Option(help="URI of the DWH exports.")] = None,
    events: Annotated[str | None, typer.Option(help="URI of the landed bank events.")] = None,
    reference: Annotated[str | None, typer.Option(help="URI of catalogue, rules and reasons.")] = None,
    offer_domains: Annotated[
        str | None, typer.Option(help="T-ECD domains that hold the offers, comma separated.")
    ] = None,
    horizon_days: Horizon = None,
    train: Annotated[
        Train | None, typer.Option(help="Train models: when it is time to, in any case, or not. [default: RECS_TRAIN]")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Run one night: ingest, features, models, every user scored, one snapshot published.

    Examples: `recs night --world world --date 2026-03-16`,
    `recs night --tecd tecd --offer-domains marketplace --day 1297`,
    `recs night --world world --date 2026-03-17 --train never`
    """
    from infra.which_night import which_night

    chosen = settings_of(
        data_dir=data_dir,
        **_sources(world_dir, tecd=tecd, dwh=dwh, events=events, reference=reference),
        offer_domains=offer_domains,
        product_horizon_days=_horizon(world_dir, horizon_days),
        train=train,
    )
    as_of = which_night(chosen, day, day_number, world_dir)
    from infra.night_view import run_and_show  # seconds of imports, which a wrong path is told before

    run_and_show(chosen, as_of, as_json=as_json)


app.command()(backtest)
app.command()(people.erase)
app.command()(suppress)
app.add_typer(people.identity, name="identity")
app.command()(features)
register_landing(app)
app.command("overlay")(overlay_command)
app.command("topics")(topics_command)
app.command()(grants)
app.command()(backing.backup)
app.command()(backing.restore)
app.command()(backfill)
app.command()(report)
app.command()(plan)
app.command()(models)
app.command()(promote)
app.command()(demote)
app.command()(retrain)
for command in (served.snapshots, served.publish, served.rollback, served.block, served.unblock):
    app.command()(command)
app.add_typer(contracts.app, name="contracts")
app.add_typer(experiments.app, name="experiment")
app.add_typer(campaigns.app, name="campaigns")
app.add_typer(lists.app, name="lists")
app.add_typer(exporting.app, name="export")
app.command()(token)


@app.command()
def up(
    data_dir: DataDir = None,
    api_port: Annotated[int | None, typer.Option(help="Port of the API. [default: RECS_API_PORT]")] = None,
    clickhouse_port: Annotated[int | None, typer.Option(help="Port of the embedded ClickHouse.")] = None,
    kafka: WithKafka = None,
    overlay: WithOverlay = True,
) -> None:
    """Start the day: embedded ClickHouse and Kafka, the overlay and the API; stays until Ctrl-C.

    Examples: `recs up --api-port 8081`, `recs up --no-overlay`
    """
    from infra.stack import run_stack

    chosen = _stack_settings(data_dir, api_port, clickhouse_port)
    raise typer.Exit(run_stack(chosen, with_dagster=False, with_kafka=kafka, with_overlay=overlay))


@app.command()
def dev(
    data_dir: DataDir = None,
    api_port: Annotated[int | None, typer.Option(help="Port of the API. [default: RECS_API_PORT]")] = None,
    clickhouse_port: Annotated[int | None, typer.Option(help="Port of the embedded ClickHouse.")] = None,
    dagster_port: Annotated[int | None, typer.Option(help="Port of the Dagster UI.")] = None,
    world_dir: Annotated[Path | None, typer.Option("--world", help="Sources for nights started in the UI.")] = None,
    horizon_days: Horizon = None,
    kafka: WithKafka = None,
    overlay: WithOverlay = True,
) -> None:
    """Start the whole embedded stack with the Dagster UI; stays until Ctrl-C.

    Example: `recs dev --world .local/demo/world --dagster-port 3001`
    """
    from infra.stack import run_stack

    chosen = _stack_settings(
        data_dir,
        api_port,
        clickhouse_port,
        dagster_port=dagster_port,
        **_sources(world_dir),
        product_horizon_days=_horizon(world_dir, horizon_days),
    )
    raise typer.Exit(run_stack(chosen, with_dagster=True, with_kafka=kafka, with_overlay=overlay))


@app.command()
def ask(
    user: Annotated[str, typer.Argument(help="User id.")],
    channel: Channel = Channel.MOBILE,
    top_k: Annotated[int, typer.Option(min=1, max=100)] = 5,
    kind: Kind = Kind.PRODUCT,
    locale: Annotated[str, typer.Option(help="en or ru")] = "en",
    api_port: Annotated[int | None, typer.Option(help="Port of the API.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Ask the running API what it would show a user.

    Shows it RECS_TOKEN, else a token of the local issuer in the data folder that the API was started with.

    Example: `recs ask 1042 --channel mobile --top-k 5 --data-dir .local/demo`
    """
    from infra.ask import answer_rows, answer_title
    from infra.ask import ask as ask_api

    chosen = settings_of(api_port=api_port, data_dir=data_dir)
    answer = ask_api(chosen, user, channel=channel.value, top_k=top_k, kind=kind.value, locale=locale)
    if as_json:
        show_json(answer)
        return
    show(answer_rows(answer), as_json=False, title=answer_title(answer))


@app.command()
def demo(data_dir: Annotated[Path, typer.Option(help="Folder of the demo.")] = Path(".local/demo")) -> None:
    """The main job on a sample world: one night, look-ups, a compliance stop.

    Example: `recs demo`
    """
    from infra.demo import run_demo

    run_demo(data_dir)


@app.command()
def bench(
    names: Annotated[list[str] | None, typer.Argument(help="Benchmarks. [default: those whose code changed]")] = None,
    listed: Annotated[bool, typer.Option("--list", help="Only list them with what they measured last.")] = False,
    soak_seconds: Annotated[float, typer.Option(min=10, help="How long `soak` asks.")] = 600,
    public_data: Annotated[
        Path | None, typer.Option(help="Folder of the data of `retrieval`. [default: ../shared/data/public]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure, each figure beside its reference, and render the README's table.

    Example: `recs bench score --json`
    """
    from infra.bench import readme, registry

    benches = list(registry.BENCHES.values()) if listed else registry.chosen(names or [])
    given: dict[str, dict[str, Any]] = {"soak": {"seconds": soak_seconds}, "retrieval": {"folder": public_data}}
    rows: list[dict[str, Any]] = []
    for one in benches:
        if not listed:
            with progress(quiet=as_json) as bars:
                bars.add_task(f"bench {one.name}: {one.about}", total=None)
                registry.measure(one, **given.get(one.name, {}))
        rows += registry.rows(one)
    if not listed:
        readme.write_readme()
    show(rows if as_json else [readme.cells(row) for row in rows], as_json=as_json, title="figures")


def _stack_settings(data_dir: Path | None, api_port: int | None, clickhouse_port: int | None, **more: Any) -> Settings:
    url = None if clickhouse_port is None else f"http://localhost:{clickhouse_port}"
    return settings_of(data_dir=data_dir, api_port=api_port, clickhouse_url=url, **more)


def _sources(world_dir: Path | None, **given: str | None) -> dict[str, str | None]:
    """URIs of the four sources: those of a world, unless named one by one."""
    names = ("tecd", "dwh", "events", "reference")
    inside = {name: None if world_dir is None else str((world_dir / name).absolute()) for name in names}
    return {name: _absolute(given.get(name)) or inside[name] for name in names}


def _horizon(world_dir: Path | None, given: int | None) -> int | None:
    from infra.which_night import horizon_of_world

    return given if given is not None or world_dir is None else horizon_of_world(world_dir)


def _absolute(uri: str | None) -> str | None:
    return uri if uri is None or ":" in uri else str(Path(uri).absolute())


if __name__ == "__main__":
    main()
