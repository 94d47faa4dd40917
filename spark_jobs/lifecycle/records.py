"""What is kept of a training beside its files: parameters, versions, metrics with intervals, plots and a model card."""

import importlib.metadata
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from data_contracts.models import UPLIFT, ModelVersion
from data_contracts.night import NightParams
from data_contracts.tables import table_names
from spark_jobs.lake.versions import delta_versions
from spark_jobs.lifecycle.fold import Quality, cross_fitted, quality
from spark_jobs.lifecycle.registry import TrainingRecord
from spark_jobs.ranking.newest import Judged

_ROOT = Path(__file__).resolve().parents[2]
DATA_VERSIONS, PARAMETERS = "data_versions.json", "night_params.json"
_BINS, _SHOWN_FEATURES = 10, 25
_PURPOSE = {
    "products": "Ranks bank products for one person by calibrated probability of opening times value.",
    "offers": "Ranks partner offers for one person by calibrated probability of meeting them again.",
    UPLIFT: "Ranks people, and products for one person, by how much being contacted raises the chance to open.",
}
_LIMITS = {
    "products": "Knows what was opened, not what was wanted: who was never shown a product looks like who declined it. "
    "Says nothing of people without consent to profiling. Families with few openings follow the calibration of all.",
    "offers": "Knows only candidates of its sources; who met nothing in the window gets the segment's taste. "
    "Probabilities hold for the horizon that it was trained on and no other.",
    UPLIFT: "Learned from first contacts of campaigns with a control group, and holds for whom those may contact. "
    "Its numbers tell an order; effects of single people are far less sure than that of a group.",
}


def metrics_of(judged: Judged | None, facts: Mapping[str, float], *, seed: int) -> dict[str, float]:
    """Facts of training, and quality on the newest fold with the ends of its intervals."""
    told = {name: float(value) for name, value in facts.items()}
    found = _quality(judged, seed=seed)
    if found is None:
        return told
    for name, estimate in (("auc", found.auc), ("log_loss", found.log_loss)):
        told |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return {**told, **{f"predicted_over_observed_{name}": ratio for name, ratio in found.families.items()}}


def record_of(
    model: ModelVersion,
    params: NightParams,
    *,
    judged: Judged | None,
    sizes: Mapping[str, object],
    importance: Mapping[str, float],
) -> TrainingRecord:
    """sizes: hyperparameters; importance: gain by feature."""
    inputs = delta_versions(params.lake, [name for name in table_names() if not name.startswith("bronze.")])
    texts = {
        "features.json": json.dumps(list(model.features), indent=1),
        "contracts.json": json.dumps(model.contracts, indent=1),
        DATA_VERSIONS: json.dumps(inputs, indent=1),
        PARAMETERS: params.model_dump_json(indent=1, exclude={"registry"}),  # whose URL may hold a password
        "files.json": json.dumps({"uri": model.uri, "sha256": model.files}, indent=1),
        "model_card.md": model_card(model, inputs),
        **plots(judged, importance, seed=params.seed),
    }
    return TrainingRecord(
        params={
            "as_of": model.as_of.isoformat(),
            "seed": str(params.seed),
            "training_threads": str(params.training_threads),
            "gap_hours": str(params.gap_hours),
            **model.settings,
            **{name: str(value) for name, value in sizes.items()},
        },
        metrics=model.metrics,
        tags={"code_version": code_version(), "mlflow.note.content": texts["model_card.md"]},
        texts=texts,
    )


def code_version() -> str:
    """The commit where there is a repository, with the package's version."""
    try:
        package = importlib.metadata.version("recs-warehouse")
    except importlib.metadata.PackageNotFoundError:
        package = "unpackaged"
    commit = subprocess.run(
        ["git", "-C", str(_ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return f"{package}+{commit[:12]}" if commit else package


def model_card(model: ModelVersion, inputs: Mapping[str, int]) -> str:
    """Markdown: what it is for, trained on, how good, known limits."""
    told = {name: model.metrics.get(name) for name in ("training_rows", "training_positives", "calibration_positives")}
    counts = ", ".join(f"{name.replace('_', ' ')}: {value:,.0f}" for name, value in told.items() if value is not None)
    tables = ", ".join(f"{name} v{version}" for name, version in inputs.items())
    settings = ", ".join(f"{name} {value}" for name, value in model.settings.items())
    return (
        f"# {model.name}, trained as of {model.as_of}\n\n"
        f"## What it is for\n\n{_PURPOSE[model.name]}\n\n"
        f"## Trained on\n\nConsenting people only, as seen before {model.as_of} ({settings}). {counts}.\n\n"
        f"{len(model.features)} features. Delta versions: {tables}.\n\n"
        f"## On the newest cases\n\n{_metrics_table(model.metrics)}\n\n"
        f"## Known limits\n\n{_LIMITS[model.name]}\n\nIt is not meant for credit decisions or prices.\n"
    )


def plots(judged: Judged | None, importance: Mapping[str, float], *, seed: int) -> dict[str, str]:
    """SVG by file name: what the trees use, and predicted beside observed rates."""
    import altair as alt  # noqa: PLC0415 - a second that only training pays

    top = sorted(importance.items(), key=lambda one: (-one[1], one[0]))[:_SHOWN_FEATURES]
    made = {}
    if top:
        rows = alt.InlineData(values=[{"feature": name, "gain": value} for name, value in top])
        bars = alt.Chart(rows, title="Share of gain by feature").mark_bar(color="#0072B2")
        made["importance.svg"] = bars.encode(x="gain:Q", y=alt.Y("feature:N", sort="-x"))
    if judged is not None and judged.fold.labels.any():
        rows = alt.InlineData(values=calibration_rows(judged, seed=seed))
        points = alt.Chart(rows, title="Predicted and observed rate, tenths of the newest cases").mark_point(
            filled=True
        )
        line = alt.Chart(rows).mark_line(color="#999999").encode(x="predicted:Q", y="predicted:Q")
        made["calibration.svg"] = line + points.encode(x="predicted:Q", y="observed:Q", tooltip=["cases:Q"])
    return {name: _svg(chart) for name, chart in made.items()}


def calibration_rows(judged: Judged, *, seed: int) -> list[dict[str, float]]:
    """Mean prediction, observed rate and cases of each tenth of the cases, by prediction."""
    fold, probability = judged.fold, cross_fitted(judged.fold, judged.own, seed=seed)
    order = np.argsort(probability, kind="stable")
    parts = [part for part in np.array_split(order, _BINS) if len(part)]
    return [
        {
            "predicted": float(probability[part].mean()),
            "observed": float(fold.labels[part].mean()),
            "cases": float(len(part)),
        }
        for part in parts
    ]


def _quality(judged: Judged | None, *, seed: int) -> Quality | None:
    if judged is None or judged.fold.labels.all() or not judged.fold.labels.any():
        return None
    return quality(judged.fold, cross_fitted(judged.fold, judged.own, seed=seed))


def _metrics_table(metrics: Mapping[str, float]) -> str:
    rows = []
    for name in ("auc", "log_loss"):
        if name in metrics:
            low, high = metrics.get(f"{name}_low", np.nan), metrics.get(f"{name}_high", np.nan)
            rows.append(f"| {name} | {metrics[name]:.4f} | {low:.4f} to {high:.4f} |")
    rows += [
        f"| {name.replace('_', ' ')} | {value:.2f} | |"
        for name, value in metrics.items()
        if name.startswith("predicted_over_observed")
    ]
    return "\n".join(["| metric | value | 95 % interval |", "|---|---|---|", *rows])


def _svg(chart: object) -> str:
    import vl_convert  # noqa: PLC0415 - see `plots`

    return str(vl_convert.vegalite_to_svg(chart.to_dict()))  # type: ignore[attr-defined]
