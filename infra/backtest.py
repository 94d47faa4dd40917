"""The command `recs backtest`: on T-ECD days, or on anybody's train and test files; what it shows and prints."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from pydantic import ValidationError

from data_contracts.errors import InputError
from data_contracts.settings import Settings
from data_contracts.vocabulary import Domain
from infra.ablation import Ablate, TecdDay, show_ablation
from infra.console import console, progress, show, show_json
from infra.options import AsJson
from infra.rolling import show_rolling
from spark_jobs.candidates.params import RetrievalParams

if TYPE_CHECKING:
    from spark_jobs.evaluation.intervals import Estimate
    from spark_jobs.evaluation.report import Row


def _knob(text: str) -> Any:
    return typer.Option(help=text, rich_help_panel="Hyperparameters of the sources")


def backtest(
    tecd: Annotated[str | None, typer.Option(help="Folder of T-ECD in its published layout.")] = None,
    test_day: Annotated[int | None, typer.Option(help="T-ECD day to test on.")] = None,
    offer_domains: Annotated[
        str | None, typer.Option(help="Domains that hold the offers, comma separated. [default: RECS_OFFER_DOMAINS]")
    ] = None,
    gap_hours: Annotated[float, typer.Option(min=0, help="Hours between the end of history and the test day.")] = 12.0,
    train: Annotated[str | None, typer.Option(help="Parquet: user_id, item_id, optional timestamp, weight.")] = None,
    test: Annotated[
        str | None,
        typer.Option(help="Parquet of the same columns: what users did later. [default: everybody's last of --train]"),
    ] = None,
    candidates: Annotated[
        str | None, typer.Option(help="Parquet: user_id, item_id that users choose among, beside those of --test.")
    ] = None,
    exclude_seen: Annotated[bool, typer.Option("--exclude-seen", help="Leave out items of --train per user.")] = False,
    ablate: Annotated[
        Ablate | None, typer.Option(help="What each domain adds: to offers (--tecd), to products (--lake-date).")
    ] = None,
    lake_date: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="As-of date of a night whose lake is looked at.")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of that night. [default: RECS_DATA_DIR]")] = None,
    horizon_days: Annotated[int | None, typer.Option(min=1, help="Days of that night's product horizon.")] = None,
    hide: Annotated[
        list[str] | None,
        typer.Option(help="A product of --lake-date to hide: how it would be ranked on its launch. Again for more."),
    ] = None,
    folds: Annotated[
        int, typer.Option(min=1, help="Earlier moments to train anew at and test on, of --tecd or --lake-date.")
    ] = 1,
    k: Annotated[int, typer.Option("--k", min=1, max=100, help="Length of the lists.")] = 10,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds to average over.")] = 1,
    als_factors: Annotated[int | None, _knob("d of the factorisation.")] = None,
    als_regularization: Annotated[float | None, _knob("L2 on both sides' factors.")] = None,
    als_alpha: Annotated[float | None, _knob("Weight of what was met against what was not.")] = None,
    als_iterations: Annotated[int | None, _knob("Rounds of alternation.")] = None,
    als_min_users: Annotated[int | None, _knob("Users an item needs before ALS may propose it.")] = None,
    neighbours: Annotated[int | None, _knob("Neighbours kept per item.")] = None,
    popularity_exponent: Annotated[float | None, _knob("Discount of popularity between items; 0.5 is cosine.")] = None,
    activity_exponent: Annotated[float | None, _knob("Discount of users who meet much, between items.")] = None,
    neighbours_of: Annotated[
        Literal["met", "proposed"] | None,
        _knob("Whose neighbours are kept: of what users met, or of what is proposed."),
    ] = None,
    neighbour_exponent: Annotated[
        float | None, _knob("How much an item's neighbours share one vote; 1 makes their votes one in all.")
    ] = None,
    neighbours_centred: Annotated[
        bool | None, _knob("What was met counts as one less its share of users, and what is proposed has its own.")
    ] = None,
    recency_half_life: Annotated[float | None, _knob("Hours after which a seen item counts half.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say how good the lists would have been: every source against what users did later.

    Examples: `recs backtest --tecd tecd --offer-domains marketplace --test-day 1296 --k 10`,
    `recs backtest --train train.parquet --test test.parquet --k 20 --exclude-seen --json`,
    `recs backtest --train train.parquet --test test.parquet --candidates negatives.parquet --k 10 --exclude-seen`,
    `recs backtest --lake-date 2026-03-16 --data-dir .local/demo --horizon-days 3 --folds 3 --k 5`,
    `recs backtest --lake-date 2026-03-16 --data-dir .local/demo --horizon-days 3 --hide card_credit_120 --k 5`,
    `recs backtest --ablate domains --tecd world/tecd --test-day 1296 --offer-domains marketplace,retail,offers`,
    `recs backtest --ablate domains --lake-date 2026-03-16 --data-dir .local/demo --horizon-days 7`
    """
    knobs: dict[str, int | float | str | None] = {
        "als_factors": als_factors,
        "als_regularization": als_regularization,
        "als_alpha": als_alpha,
        "als_iterations": als_iterations,
        "als_min_users": als_min_users,
        "neighbours": neighbours,
        "popularity_exponent": popularity_exponent,
        "activity_exponent": activity_exponent,
        "neighbours_of": neighbours_of,
        "neighbour_exponent": neighbour_exponent,
        "neighbours_centred": neighbours_centred,
        "recency_half_life": recency_half_life,
    }
    settings = Settings() if offer_domains is None else Settings(offer_domains=offer_domains)
    by_seed = range(settings.seed, settings.seed + seeds)
    chosen = {"data_dir": data_dir, "product_horizon_days": horizon_days}
    settings = settings.model_copy(update={name: value for name, value in chosen.items() if value is not None})
    day = None if lake_date is None else lake_date.date()
    of_tecd = None if tecd is None or test_day is None else TecdDay(tecd, test_day, gap_hours)
    if ablate is not None:
        show_ablation(settings, of_tecd, day, retrieval=_retrieval(RetrievalParams(), knobs), k=k, as_json=as_json)
        return
    if day is not None or (folds > 1 and of_tecd is not None):
        retrieval = _retrieval(RetrievalParams(), knobs)
        show_rolling(settings, day, of_tecd, folds=folds, k=k, retrieval=retrieval, as_json=as_json, hidden=hide or ())
        return
    shown = _Shown(k, by_seed, knobs, as_json)
    if of_tecd is not None and train is None and test is None:
        _of_day(of_tecd, settings.offer_domains, shown)
    elif train is not None and tecd is None and test_day is None:
        _of_files(_Files(train, test, candidates, exclude_seen), shown)
    else:
        raise InputError("backtest what? give --tecd and --test-day, or --train and --test")


@dataclass(frozen=True)
class _Shown:
    """What every kind of backtest is told alike."""

    k: int
    seeds: range
    knobs: Mapping[str, int | float | str | None]
    as_json: bool


@dataclass(frozen=True)
class _Files:
    """Anybody's interactions; without a test, the last of train stand for it."""

    train: str
    test: str | None
    candidates: str | None
    exclude_seen: bool


def _of_day(day: TecdDay, domains: Sequence[Domain], shown: _Shown) -> None:
    with progress(quiet=shown.as_json) as bars:
        bars.add_task(f"backtest of day {day.day}", total=None)
        from spark_jobs.evaluation.backtest import backtest_tecd

        report = backtest_tecd(
            day.folder,
            domains=domains,
            test_day=day.day,
            gap_hours=day.gap_hours,
            k=shown.k,
            seeds=shown.seeds,
            retrieval=_retrieval(RetrievalParams(), shown.knobs),
        )
    if shown.as_json:
        console.print_json(report.to_json())
    else:
        show(_rows_by_source(report.rows()), as_json=False, title=f"day {day.day}")


def _of_files(files: _Files, shown: _Shown) -> None:
    tested = files.test or "everybody's last item"
    with progress(quiet=shown.as_json) as bars:
        bars.add_task(f"backtest of {tested}", total=None)
        from spark_jobs.evaluation.files import FILE_RETRIEVAL, backtest_files

        figures = backtest_files(
            files.train,
            files.test,
            candidates=files.candidates,
            k=shown.k,
            exclude_seen=files.exclude_seen,
            seeds=shown.seeds,
            retrieval=_retrieval(FILE_RETRIEVAL, shown.knobs),
        ).means()
    if shown.as_json:
        show_json({source: {name: _mean(values) for name, values in of.items()} for source, of in figures.items()})
    else:
        show(_rows_of_files(figures), as_json=False, title=f"{tested} after {files.train}")


def _retrieval(defaults: RetrievalParams, knobs: Mapping[str, int | float | str | None]) -> RetrievalParams:
    """Raises InputError for a value out of its range."""
    chosen = {name: value for name, value in knobs.items() if value is not None}
    try:
        return RetrievalParams(**{**defaults.model_dump(), **chosen})
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"hyperparameters: {first['loc'][0]}: {first['msg']}") from error


def _rows_by_source(rows: Iterable["Row"]) -> list[dict[str, Any]]:
    """One row a label, slice and source; metrics become columns."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in rows:
        key = (row.label, row.slice, row.source)
        line = found.setdefault(key, {"label": row.label, "slice": row.slice, "source": row.source})
        line[row.metric] = _interval(row.estimate)
    names = list(dict.fromkeys(name for line in found.values() for name in line))
    return [{name: line.get(name) for name in names} for line in found.values()]


def _rows_of_files(figures: Mapping[str, Mapping[str, Sequence[float]]]) -> list[dict[str, Any]]:
    return [
        {"source": source, **{name: f"{_mean(values):.4f}{_range(values)}" for name, values in metrics.items()}}
        for source, metrics in figures.items()
    ]


def _interval(estimate: "Estimate") -> str:
    return f"{estimate.value:.4f} [{estimate.low:.4f}, {estimate.high:.4f}]{_range(estimate.seeds)}"


def _range(seeds: Sequence[float]) -> str:
    """From the worst seed to the best, where they differ."""
    return f" seeds {min(seeds):.4f}-{max(seeds):.4f}" if len(set(seeds)) > 1 else ""


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
