"""How good the night's models are, with intervals and beside what knows no person, and whether probabilities are true.

Two sources: what the night measured of its rankers on the newest cases whose labels are known, and the newest rolling
evaluation (`recs backtest --folds`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from data_contracts.models import NIGHT_FILE
from data_contracts.quality import FamilyCases, NightQuality
from spark_jobs.report import charts
from spark_jobs.report.facts import Facts, Row
from spark_jobs.report.parts import Link, Plot, Section, Table, count, plain
from spark_jobs.report.sections.people import segment_name

_PRODUCTS = "products/ranker.json"
_EVERYBODY, _RANKED = "all", "ranked"
# What a table of a slice shows, by the part of a metric's name before @k.
_SHOWN = ("auc", "ece", "predicted_over_observed", "ndcg", "value_ndcg", "recall", "hit_rate")
_HOW = (
    "The rolling evaluation has not run: `recs backtest --folds 3` brings figures by family, segment and tenure here."
)
_RATES = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)


def quality(facts: Facts) -> Section:
    night = NightQuality.of(facts.models)
    measured, figures = list(_aucs(night)), _together(facts).get("figures", {})
    words = [*(one["words"] for one in measured), *_unknown(night)]
    if not measured and not figures:
        return Section("quality", "Quality", "No ranker of tonight was measured.", words=words, missing=_HOW)
    tonight = [_plot("AUC of tonight's rankers", measured, "AUC; 0.5, in orange, is chance", "auc-tonight")]
    return Section(
        "quality",
        "Quality",
        "How well the lists put first what people then opened, on later days than the ranker learned from, beside "
        "lists that know no person.",
        words=words,
        links=list(_scored_with(facts.models)),
        plots=[*(tonight if measured else ()), *_evaluated(figures)],
        tables=[*_newest(night), *_slices(figures)],
        missing="" if figures else _HOW,
    )


def _scored_with(models: Mapping[str, Row]) -> Iterator[Link]:
    """Each registered version that scored the night, to its training in MLflow."""
    plan = models.get(NIGHT_FILE, {})
    for role, versions in (("scored", plan.get("used", {})), ("scored as challenger", plan.get("tried", {}))):
        for name, one in sorted(versions.items()):
            if one.get("run"):
                yield Link(f"{name}: version {one['version']} of {one['as_of']} {role}, see its training", one["run"])


def _together(facts: Facts) -> Row:
    """All folds of products as one test; figures that no case defines (null in the document) are left out."""
    found: Row = (facts.evaluation.get("products") or {}).get("together") or {}
    figures = {
        name: {
            model: {metric: one for metric, one in metrics.items() if None not in one.values()}
            for model, metrics in models.items()
        }
        for name, models in found.get("figures", {}).items()
    }
    return {**found, "figures": figures}


def _aucs(night: NightQuality) -> Iterator[dict[str, Any]]:
    for kind, found in night.rankers.items():
        if found.auc is not None and found.log_loss is not None:
            label, auc = f"ranker of {kind}", found.auc.model_dump()
            happened = f"{count(found.positives)} of {count(found.cases)} cases happened"
            words = (
                f"{label}, {found.model}: AUC {_interval(auc)}, log loss {plain(found.log_loss.value)}; "
                f"{happened} from {found.start:%d %B} to {found.end:%d %B}."
            )
            yield {**auc, "label": label, "baseline": 0.5, "says": f"{label}: {_interval(auc)}", "words": words}


def _unknown(night: NightQuality) -> Iterator[str]:
    yield from (f"How the ranker of {kind} fares is not known tonight: {why}." for kind, why in night.unknown.items())


def _newest(night: NightQuality) -> list[Table]:
    """How often the newest cases happened."""
    rows = [
        (family, count(one.cases), count(one.positives), f"{one.positives / one.cases:.3%}", _over(one))
        for found in night.rankers.values()
        for family, one in found.families.items()
    ]
    columns = ("Family", "Cases", "Happened", "Share", "Predicted over observed")
    return [Table("The newest cases by family", columns, rows)] if rows else []


def _over(one: FamilyCases) -> str:
    return f"{one.predicted / one.positives:.2f}" if one.positives else ""


def _interval(one: Mapping[str, Any]) -> str:
    return f"{one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})"


def _plot(title: str, rows: Sequence[Mapping[str, Any]], axis: str, name: str) -> Plot:
    cells = [(row["label"], *(f"{row[end]:.4f}" for end in ("value", "low", "high"))) for row in rows]
    drawn = charts.intervals(rows, label="label", title=axis)
    return Plot(title, charts.svg(drawn, name=name), Table(title, ("", "Value", "From", "To"), cells))


def _evaluated(figures: Row) -> Iterator[Plot]:
    models = figures.get(_EVERYBODY, {})
    for metric in sorted({name for of in models.values() for name in of if name.startswith(("ndcg@", "value_ndcg@"))}):
        rows = [_estimate(model, of[metric]) for model, of in models.items() if "-" not in model and metric in of]
        what = "weighted by value" if metric.startswith("value") else "all openings alike"
        yield _plot(f"Ranked lists beside baselines: {_metric(metric)}", rows, what, metric.replace("@", "-at-"))
    by_family = {name: of.get(_RANKED, {}).get("auc") for name, of in figures.items() if name.startswith("family ")}
    rows = [_estimate(name.removeprefix("family "), auc) for name, auc in by_family.items() if auc]
    if rows:
        yield _plot("AUC by family", rows, "AUC with its 95 % interval", "auc-families")


def _estimate(label: str, one: Row) -> dict[str, Any]:
    row = {"label": label, "value": one["value"], "low": one["low"], "high": one["high"]}
    return {**row, "says": f"{label}: {_interval(row)}"}


def _metric(name: str) -> str:
    return name.replace("value_ndcg", "NDCG of value").replace("ndcg", "NDCG").replace("_", " ")


def _slices(figures: Row) -> list[Table]:
    """One row a slice and model."""
    rows = []
    for name, models in figures.items():
        for model, metrics in models.items():
            found = {metric.partition("@")[0]: one for metric, one in metrics.items()}
            cells = ("" if one is None else _interval(one) for one in (found.get(metric) for metric in _SHOWN))
            rows.append((_slice_name(name), model, *cells))
    names = (_metric(name) for name in _SHOWN)
    return [Table("By family, segment and tenure", ("Slice", "Model", *names), rows)] if rows else []


def _slice_name(name: str) -> str:
    kind, _, number = name.partition(" ")
    return f"segment {segment_name(int(number))}" if kind == "segment" and number.isdigit() else name


def calibration(facts: Facts) -> Section:
    curves = {name: bins for name, bins in _together(facts).get("calibration", {}).items() if len(bins) > 1}
    groups = facts.models.get(_PRODUCTS, {}).get("calibrator", {}).get("groups", {})
    meaning = (
        "What lists store are probabilities: of a hundred people shown 2 %, two open the product within the horizon. "
    )
    if curves:
        told = "Dots on the grey line are true to their word; above it more happened than was said."
        return Section("calibration", "Calibration", meaning + told, plots=[_curves_plot(curves)])
    if groups:
        told = "The curves show how far the ranker's own word is corrected in each family, from later days."
        thin = min(groups, key=lambda one: groups[one]["cases"])
        words = [f"Thinnest evidence: {thin}, {groups[thin]['cases']} cases; small families lean on all others."]
        plots = [_corrections_plot(groups)]
        return Section("calibration", "Calibration", meaning + told, words=words, plots=plots, missing=_HOW)
    return Section(
        "calibration", "Calibration", meaning + "No ranker of products was calibrated tonight.", missing=_HOW
    )


def _curves_plot(curves: Mapping[str, Sequence[Row]]) -> Plot:
    rows = [
        {
            "family": family,
            "predicted": one["predicted"],
            "observed": one["observed"],
            "says": f"{family}: said {one['predicted']:.2%}, happened {one['observed']:.2%} of {count(one['cases'])}",
        }
        for family, bins in curves.items()
        for one in bins
    ]
    cells = [
        (family, f"{one['predicted']:.3%}", f"{one['observed']:.3%}", count(one["cases"]))
        for family, bins in curves.items()
        for one in bins
    ]
    title = "Said and observed, by family"
    table = Table(title, ("Family", "Said", "Observed", "Cases"), cells)
    return Plot(title, charts.svg(charts.said_and_observed(rows), name="calibration"), table)


def _corrections_plot(groups: Mapping[str, Row]) -> Plot:
    rows = [row for family, fit in sorted(groups.items()) for row in _corrections(family, fit)]
    cells = [
        (family, plain(fit["slope"]), plain(fit["intercept"]), count(fit["cases"]))
        for family, fit in sorted(groups.items())
    ]
    table = Table("What calibration corrects", ("Family", "Slope", "Intercept", "Cases that happened"), cells)
    said = "probability as the ranker says it"
    drawn = charts.curves(
        rows, x="raw", y="factor", colour="family", x_title=said, y_title="stored over said", form=".2~%", log=True
    )
    return Plot("Correction by family", charts.svg(drawn, name="calibration"), table)


def _corrections(family: str, fit: Row) -> Iterator[dict[str, Any]]:
    for raw in _RATES:
        odds = fit["slope"] * np.log(raw / (1 - raw)) + fit["intercept"]
        stored = float(1 / (1 + np.exp(-odds)))
        says = f"{family}: {raw:.2%} becomes {stored:.2%}"
        yield {"family": family, "raw": raw, "factor": stored / raw, "says": says}
