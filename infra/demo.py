"""The main job as a story: a sample world, one night, look-ups by channel, a compliance stop, an event of the day,
a night that the gate stops, and what CRM pulls.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from dagster_project.launching import launching
from data_contracts.errors import RecsError
from data_contracts.settings import Settings
from infra.ask import answer_rows, answer_title, ask
from infra.console import console, progress, show
from infra.demo_crm import show_crm
from infra.demo_event import running, show_event
from infra.demo_fault import show_stopped_night
from infra.local.clickhouse.running import running_clickhouse
from infra.local.embedded import free_port
from infra.local.world import generate
from infra.night_view import run_and_show
from infra.publishing import set_block, snapshot_rows
from infra.stack import clickhouse_folder, wait_until_ready
from infra.tokens import ensure_issuer
from sql.client import Address
from sql.migrate import migrate

_USERS, _DAYS, _HORIZON_DAYS, _SEED = 5_000, 30, 7, 7
_LAST_DATE = date(2026, 3, 16)
_POINTER_SECONDS = 15.0
# May be addressed in the app, on the web and by CRM, and profiled.
_EVERY_CONSENT = 15


@dataclass(frozen=True)
class _Stage:
    """Prints numbered headings with the time since the start."""

    started: float

    def __call__(self, title: str) -> None:
        console.rule(f"[bold]{title}[/bold]  {time.monotonic() - self.started:.0f} s", align="left")


def run_demo(folder: Path) -> None:
    """Everything under `folder`; run again, it goes on with the same world and makes a new attempt of each night."""
    stage = _Stage(time.monotonic())
    stage(f"1. A sample world: {_USERS:,} users, {_DAYS} days")
    world = folder / "world"
    # Spark starts while the world is made, and the second night finds it awake.
    with launching(_settings(folder, world)) as runner:
        _make_world(world)
        with _stack(_settings(folder, world)) as settings:
            stage(f"2. The night of {_LAST_DATE}: from deliveries to published lists")
            result = run_and_show(settings, _LAST_DATE, runner=runner)
            user = _somebody(settings, result.snapshot_id)
            _show_day(settings, user, result.snapshot_id, stage)
            stage("6. A night that scores with last night's models, and that the gate stops")
            show_stopped_night(settings, world, _LAST_DATE, runner=runner)
            show(snapshot_rows(settings), as_json=False, title="snapshots: the last good one is still served")
            stage("7. CRM pulls lists, makes an audience, and confirms an export")
            show_crm(settings, result.snapshot_id)
    stage("Done")
    console.print(f"See it all in the Dagster UI:  .venv/bin/recs dev --data-dir {folder} --world {world}")
    here = f"--data-dir {folder}"
    console.print(f"Ask on your own:               .venv/bin/recs up {here}, then .venv/bin/recs ask {user} {here}")


def _show_day(settings: Settings, user: str, snapshot_id: str, stage: _Stage) -> None:
    stage("3. Look-ups: one user in each channel")
    _until(settings, user, lambda answer: answer["snapshot_id"] == snapshot_id)
    for channel in ("mobile", "web", "crm"):
        answer = ask(settings, user, channel=channel, top_k=3)
        show(answer_rows(answer), as_json=False, title=f"{channel}: {answer_title(answer)}")
    offers = ask(settings, user, channel="mobile", top_k=3, kind="offer")
    show(answer_rows(offers), as_json=False, title=f"offers: {answer_title(offers)}")
    stage("4. A compliance stop holds at once")
    _show_block(settings, user)
    stage("5. An event changes an answer")
    show_event(settings, user, snapshot_id)


def _settings(folder: Path, world: Path) -> Settings:
    sources = {name: str((world / name).absolute()) for name in ("tecd", "dwh", "events", "reference")}
    return Settings(data_dir=folder, product_horizon_days=_HORIZON_DAYS, seed=_SEED, **sources)  # type: ignore[arg-type]


def _make_world(world: Path) -> None:
    with progress() as bars:
        task = bars.add_task("world", total=1.0)
        made = generate(
            world,
            users=_USERS,
            days=_DAYS,
            seed=_SEED,
            last_date=_LAST_DATE,
            horizon_days=_HORIZON_DAYS,
            progress=lambda what, share: bars.update(task, description=what, completed=share),
        )
    console.print(f"{sum(made.rows.values()):,} rows in {world}: T-ECD, DWH exports, bank events, reference, truth")


@contextmanager
def _stack(settings: Settings) -> Iterator[Settings]:
    """An embedded ClickHouse and the API on free ports, for this block."""
    with running_clickhouse(clickhouse_folder(settings)) as url:
        ensure_issuer(settings)
        wired = settings.model_copy(
            update={
                "clickhouse_url": url,
                "api_port": free_port(),
                "max_snapshot_age_days": 36_500,  # the sample world keeps its date
            }
        )
        migrate(Address.of(wired))
        with running("api", ["api"], wired):
            wait_until_ready(f"http://127.0.0.1:{wired.api_port}/healthz")
            yield wired


def _show_block(settings: Settings, user: str) -> None:
    before = ask(settings, user, channel="mobile", top_k=3)
    first = before["recommendations"][0]["product_id"]
    set_block(settings, first, blocked=True, why="demo: compliance stop")
    moved = _until(settings, user, lambda answer: first not in _products(answer))
    console.print(f"blocked {first}: gone from the answer, which is now {', '.join(_products(moved))}")
    set_block(settings, first, blocked=False, why="demo: the stop has ended")
    _until(settings, user, lambda answer: first in _products(answer))
    console.print(f"unblocked {first}: back again")


def _products(answer: dict[str, Any]) -> list[str]:
    return [item["product_id"] for item in answer["recommendations"]]


def _until(settings: Settings, user: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first answer for which something holds. Raises RecsError when none comes in time."""
    deadline = time.monotonic() + _POINTER_SECONDS
    while time.monotonic() < deadline:
        answer = ask(settings, user, channel="mobile", top_k=3)
        if holds(answer):
            return answer
        time.sleep(0.02)
    raise RecsError(f"the API still gives the old answer after {_POINTER_SECONDS:.0f} s: see logs/api.log")


def _somebody(settings: Settings, snapshot_id: str) -> str:
    """A user who may be addressed in every channel and has several products in the list."""
    snapshot = Path(settings.lake_uri) / "snapshots" / snapshot_id
    states = pq.read_table(snapshot / "user_state", columns=["user_id", "consents"]).to_pandas()
    lists = pq.read_table(snapshot / "lists", columns=["user_id", "product_items"]).to_pandas()
    both = states.merge(lists, on="user_id")
    open_to_all = both[(both["consents"] & _EVERY_CONSENT == _EVERY_CONSENT) & (both["product_items"].str.len() >= 5)]
    return str(open_to_all["user_id"].min())
