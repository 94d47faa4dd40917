"""`recs features`: every registered feature, with what the last night saw of it. Reads the lake's files, not Spark."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from data_contracts.errors import InputError
from infra.console import console, show, show_json
from infra.options import AsJson, DataDir, settings_of

_WIDE = 130
_SEEN = ("null_share", "zero_share", "mean", "p1", "p25", "p50", "p75", "p99")


def features(
    names: Annotated[list[str] | None, typer.Argument(help="Only features with one of these in their name.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List every feature: unit, source, half-life, owner, and the last night's nulls and quantiles.

    Examples: `recs features`, `recs features telemetry mortgage --json`
    """
    settings = settings_of(data_dir=data_dir)
    every = feature_rows(settings.lake_uri)
    rows = [row for row in every if not names or any(name in row["feature"] for name in names)]
    if not rows:
        raise InputError(f"no feature with {' or '.join(names or ())} in its name: recs features lists them all")
    if as_json:
        show_json(rows)
        return
    as_of = next((row["as_of"] for row in rows if row["as_of"]), None)
    title = f"{len(rows)} features" + (f", as seen on {as_of}" if as_of else ": no night has made them yet")
    show([_readable(row) for row in rows], as_json=False, title=title)


def feature_rows(lake: str) -> list[dict[str, Any]]:
    """A row a feature, in the order of names; what a night saw is None where none did."""
    from spark_jobs.features.profile import PROFILE
    from spark_jobs.features.registry import all_features
    from spark_jobs.features.silver import categories_of
    from spark_jobs.lake.plain import last_written

    items = last_written(lake, "silver.items", ["item_id", "domain", "category"])
    profile = last_written(lake, PROFILE, ["feature", "as_of", *_SEEN])
    seen: Mapping[str, dict[str, Any]] = {row["feature"]: row for row in profile}
    nothing = dict.fromkeys(("as_of", *_SEEN))
    return [
        {
            "feature": feature.name,
            "description": feature.description,
            "unit": feature.unit,
            "source": feature.source,
            "half_life_days": feature.half_life_days,
            "owner": feature.owner,
            **{name: seen.get(feature.name, nothing)[name] for name in nothing},
        }
        for feature in all_features(categories_of((row["domain"], row["category"]) for row in items))
    ]


def _readable(row: Mapping[str, Any]) -> dict[str, Any]:
    """What fits on a terminal, with what the feature is where the terminal is wide."""
    numbers = {name: None if row[name] is None else f"{row[name]:.4g}" for name in ("p1", "p50", "p99")}
    nulls = None if row["null_share"] is None else f"{row['null_share']:.0%}"
    shown = {"feature": row["feature"], "unit": row["unit"], "nulls": nulls, **numbers}
    wide = {"half-life": row["half_life_days"], "description": row["description"]}
    return {**shown, **wide} if console.width >= _WIDE else shown
