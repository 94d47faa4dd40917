"""The commands on registered models: list, promote, demote."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from data_contracts.models import MODEL_NAMES, Aliases, ModelVersion
from data_contracts.settings import Settings
from infra.console import console, show
from infra.options import AsJson, DataDir, actor, settings_of

if TYPE_CHECKING:
    from spark_jobs.lifecycle.registry import Registry

Name = Annotated[str, typer.Argument(help=f"{' or '.join(MODEL_NAMES)}.")]
Why = Annotated[str, typer.Option(help="Kept with the decision.")]


def models(
    name: Annotated[str | None, typer.Argument(help="Only this one, with its decisions.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List the registered models: versions, aliases, quality on the newest fold of their time, last decision.

    Examples: `recs models`, `recs models products --json`
    """
    registry = _registry(settings_of(data_dir=data_dir))
    known = registry.aliases()
    rows = [
        {
            **_row(version, known[one]),
            "run": version.run,
            "report": registry.report_of(version),
            "decisions": registry.decisions(version),
        }
        for one in MODEL_NAMES
        if name in {None, one}
        for version in registry.versions(one)
    ]
    if not as_json:
        for row in rows:
            del row["files"], row["run"]  # longer than a terminal is wide
            row["report"] = "/".join(row["report"].split("/")[-2:-1])  # the snapshot
            row["decisions"] = "; ".join(_told(one) for one in (row["decisions"] if name else row["decisions"][-1:]))
    show(rows, as_json=as_json, title="models")


def promote(
    name: Name,
    version: Annotated[int | None, typer.Option(help="A number of recs models. [default: the challenger]")] = None,
    why: Why = "",
    data_dir: DataDir = None,
) -> None:
    """Make a version champion; refused (exit code 3) unless it has beaten the champion (data_contracts/promotion.yaml).

    Examples: `recs promote products`, `recs promote offers --version 3 --why "back after the holiday"`
    """
    from spark_jobs.lifecycle import moves

    model = moves.promote(_registry(settings_of(data_dir=data_dir)), name, version, actor=actor(), why=why)
    console.print(f"{name} {model.told} is champion: the next night scores with it")


def demote(name: Name, why: Why = "", data_dir: DataDir = None) -> None:
    """Make the champion before champion again.

    Example: `recs demote products --why "odd lists for segment 3"`
    """
    from spark_jobs.lifecycle import moves

    model = moves.demote(_registry(settings_of(data_dir=data_dir)), name, actor=actor(), why=why)
    console.print(f"{name} {model.told} is champion again: the next night scores with it")


def _registry(settings: Settings) -> "Registry":
    from spark_jobs.lifecycle.registry import Registry

    return Registry(settings.registry_url, lake=settings.lake_uri)


def _row(version: ModelVersion, aliases: Aliases) -> dict[str, Any]:
    roles = {"champion": aliases.champion, "challenger": aliases.challenger}
    auc, low, high = (version.metrics.get(f"auc{end}") for end in ("", "_low", "_high"))
    loss = version.metrics.get("log_loss")
    return {
        "model": version.name,
        "version": version.version,
        "alias": next((role for role, one in roles.items() if one and one.version == version.version), ""),
        "as of": version.as_of.isoformat(),
        "AUC": None if auc is None else f"{auc:.4f} ({low or 0:.4f} to {high or 0:.4f})",
        "log loss": None if loss is None else f"{loss:.5f}",
        "files": version.uri,
    }


def _told(decision: dict[str, str]) -> str:
    return f"{decision['what']} by {decision['by']}, {decision['at'][:10]}: {decision['why']}"
