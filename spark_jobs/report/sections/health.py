"""Whether the night is sound: the gate's verdicts, what drifted, and what the steps cost."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from data_contracts.gate import gate_rules
from data_contracts.manifest import GateCheck
from data_contracts.scores import LOGIT_LIMIT
from spark_jobs.monitoring.feature_drift import TRAINING, YESTERDAY
from spark_jobs.monitoring.model_scores import PSI_LINE, ScoreDrift, drift_by_product
from spark_jobs.report import charts
from spark_jobs.report.facts import Facts
from spark_jobs.report.parts import Plot, Section, Table, count, money, plain, share
from spark_jobs.report.seen import BINS, Floats, Ints

_DRIFTS_SHOWN = 15
_DRIFT_NUMBERS = ("psi", "ks", "mean_then", "mean")


def gate(facts: Facts) -> Section:
    verdict, rules = facts.now.manifest.gate, gate_rules()
    ordered = sorted(verdict.checks, key=lambda check: check.passed)
    rows = [_verdict_row(check, rules[check.name].reason if check.name in rules else "") for check in ordered]
    marks = {number: "good" if check.passed else "bad" for number, check in enumerate(ordered)}
    failed = len(verdict.failures)
    meaning = (
        f"All {len(ordered)} questions that are asked of a snapshot before anybody sees it were answered well."
        if verdict.passed
        else f"{failed} of {len(ordered)} questions failed, so this snapshot was not published and yesterday's stays."
    )
    unasked = sorted(set(rules) - {check.name for check in verdict.checks})
    table = Table(
        "Verdicts",
        ("Question", "Verdict", "Measured", "Limit", "What was measured", "Why the limit"),
        rows,
        True,
        marks,
    )
    words = [f"Not asked tonight, since there was nothing to hold it against: {', '.join(unasked)}."] if unasked else []
    return Section("gate", "Gate verdicts", meaning, words=words, tables=(table,))


def _verdict_row(check: GateCheck, reason: str) -> tuple[str, ...]:
    rule = gate_rules().get(check.name)
    sign = "" if rule is None else "at least " if rule.at_least is not None else "at most "
    verdict = "passed" if check.passed else "failed"
    name = check.name.replace("_", " ")
    return name, verdict, plain(check.value), f"{sign}{plain(check.limit)}", check.why, reason


def drift(facts: Facts) -> Section:
    against = YESTERDAY if any(row["against"] == YESTERDAY for row in facts.drift) else TRAINING
    rows = sorted((row for row in facts.drift if row["against"] == against), key=lambda row: -row["psi"])
    plots = [*_feature_plot(rows, against), *_score_plots(facts), *_product_plot(facts)]
    moved = sum(row["psi"] > PSI_LINE for row in rows)
    meaning = (
        f"{moved} of {len(rows)} features moved beyond the usual line (PSI {PSI_LINE}) since {_named(rows, against)}."
        if rows
        else "No features were held against an earlier night."
    )
    missing = "" if against == YESTERDAY else "Against yesterday it is told from the second night on."
    return Section("drift", "Drift", meaning, plots=plots, tables=_scores_and_labels(facts), missing=missing)


def _scores_and_labels(facts: Facts) -> list[Table]:
    rows = [
        (row["measure"].replace("_", " "), row["against"], *(f"{row[name]:.4g}" for name in _DRIFT_NUMBERS))
        for row in facts.score_drift
    ]
    columns = ("Measure", "Against", "PSI", "KS", "Mean then", "Mean now")
    return [Table("Scores (log odds) and labels (share that happened)", columns, rows, is_open=True)] if rows else []


def _named(rows: Sequence[Mapping[str, Any]], against: str) -> str:
    what = "the last night that passed its gate" if against == YESTERDAY else "the ranker's training set"
    nights = sorted({str(row["then_as_of"]) for row in rows})
    later = f", or that people let pass since ({', '.join(nights[1:])})" if nights[1:] else ""
    return f"{what} ({nights[0]}){later}"


def _feature_plot(rows: Sequence[Mapping[str, Any]], against: str) -> list[Plot]:
    shown = [
        {
            "feature": row["feature"].removeprefix("f_"),
            "psi": row["psi"],
            "shade": charts.ORANGE if row["psi"] > PSI_LINE else charts.BLUE,
            "says": f"{row['feature']}: PSI {row['psi']:.3f}, KS {row['ks']:.3f}",
        }
        for row in rows[:_DRIFTS_SHOWN]
    ]
    if not shown:
        return []
    columns = ("Feature", "PSI", "KS", "Unknown then", "Unknown now", "Median then", "Median now")
    cells = [_drift_row(row) for row in rows]
    drawn = charts.bars(
        shown,
        value="psi",
        label="feature",
        title=f"population stability index, beyond {PSI_LINE} in orange",
        form=".2f",
    )
    title = f"Features that moved most against {against}"
    return [Plot(title, charts.svg(drawn, name="drift-features"), Table("All features", columns, cells))]


def _drift_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        row["feature"],
        f"{row['psi']:.3f}",
        f"{row['ks']:.3f}",
        share(row["null_share_then"]),
        share(row["null_share"]),
        plain(row["median_then"]),
        plain(row["median"]),
    )


def _score_plots(facts: Facts) -> list[Plot]:
    nights = {"tonight": facts.now, **({"before": facts.before} if facts.before else {})}
    scores = {
        f"{kind}s, {night}": snapshot.seen.scores[kind]
        for night, snapshot in nights.items()
        for kind in ("product", "offer")
        if snapshot.seen.scores[kind].any()
    }
    scores |= _first_scores(facts)
    points = [point for line, lists in scores.items() for point in _histogram(line, lists)]
    if not points:
        return []
    drawn = charts.curves(
        points,
        x="odds",
        y="share",
        colour="line",
        x_title="probability of the best item, log odds",
        y_title="share of lists",
        form="~g",
    )
    columns = ("Lists of", "Mean log odds of the best item")
    cells = [(line, f"{lists @ _middles() / lists.sum():.2f}") for line, lists in scores.items()]
    return [
        Plot(
            "How sure the lists are of their best item",
            charts.svg(drawn, name="scores"),
            Table("Scores", columns, cells),
        )
    ]


def _first_scores(facts: Facts) -> dict[str, Ints]:
    """(BINS,) of those that tonight's are held against as of training, by what the line is called."""
    then = {} if facts.scores is None else facts.scores.then
    odds = {f"{kind}s, model's first ({one.as_of})": one.best[kind].log_odds for kind, one in then.items()}
    edges = np.linspace(-LOGIT_LIMIT, LOGIT_LIMIT, BINS + 1)
    lists = {line: np.histogram(of[~np.isnan(of)], edges)[0] for line, of in odds.items()}
    return {line: of for line, of in lists.items() if of.any()}


def _product_plot(facts: Facts) -> list[Plot]:
    found = {} if facts.scores is None else drift_by_product(facts.scores)
    rows = sorted(found.items(), key=lambda row: -row[1].psi)
    if not rows:
        return []
    shown = [
        {
            "product": name,
            "psi": moved.psi,
            "shade": charts.ORANGE if moved.psi > PSI_LINE else charts.BLUE,
            "says": f"{name}: PSI {moved.psi:.3f}, KS {moved.ks:.3f}",
        }
        for name, moved in rows[:_DRIFTS_SHOWN]
    ]
    title = f"population stability index, beyond {PSI_LINE} in orange"
    drawn = charts.bars(shown, value="psi", label="product", title=title, form=".2f")
    columns = ("Product", "PSI", "KS", "Mean log odds then", "Mean log odds now", "Lists then", "Lists now")
    table = Table("All products", columns, [_product_row(name, moved) for name, moved in rows])
    since = rows[0][1].then_as_of
    return [Plot(f"Products whose scores moved most since {since}", charts.svg(drawn, name="drift-products"), table)]


def _product_row(name: str, moved: ScoreDrift) -> tuple[str, ...]:
    means = f"{moved.mean_then:.2f}", f"{moved.mean:.2f}"
    return name, f"{moved.psi:.3f}", f"{moved.ks:.3f}", *means, count(moved.lists_then), count(moved.lists)


def _middles() -> Floats:
    return (np.arange(BINS) + 0.5) / BINS * 2 * LOGIT_LIMIT - LOGIT_LIMIT


def _histogram(line: str, lists: Ints) -> list[dict[str, Any]]:
    filled = np.flatnonzero(lists)
    shares = lists / lists.sum()
    return [
        {
            "odds": float(_middles()[one]),
            "share": float(shares[one]),
            "line": line,
            "says": f"{line}: {share(float(shares[one]))} at {_middles()[one]:.2f}",
        }
        for one in range(max(filled[0] - 1, 0), min(filled[-1] + 2, BINS))
    ]


def steps(facts: Facts) -> Section:
    title = "Cost and duration"
    if not facts.steps:
        return Section(
            "steps",
            title,
            "How long the steps took is not known of this snapshot.",
            missing="A night run by `recs night` or Dagster leaves it beside the report.",
        )
    rows = [
        {**step, "says": f"{step['step']}: {step['seconds']:.0f} s, {count(step['peak_mb'])} MB at most"}
        for step in facts.steps
    ]
    seconds = sum(step["seconds"] for step in facts.steps)
    memory = sum(step["seconds"] * step["peak_mb"] for step in facts.steps) / 1024 / 3600
    slowest = max(facts.steps, key=lambda step: step["seconds"])
    most = share(slowest["seconds"] / max(seconds, 1e-9))
    users = max(sum(facts.now.people), 1)
    costs = [step["cost"] for step in facts.steps if "cost" in step]
    paid = f" It cost {_price(sum(costs))}, {_price(sum(costs) / users * 1e6)} a million users." if costs else ""
    columns = ("Step", "Seconds", "of these checks", "Peak memory, MB", "Rows written", "Quarantined")
    cells = [_step_row(step, priced=bool(costs)) for step in facts.steps]
    drawn = charts.bars(rows, value="seconds", label="step", title="seconds", form=",.0f")
    return Section(
        "steps",
        title,
        f"The night's jobs took {seconds / 60:.1f} minutes, {most} of it for {slowest['step']}, and "
        f"{memory:.2g} gigabyte-hours of memory; {seconds / users * 1000:.1f} s a thousand users.{paid}",
        plots=(
            Plot(
                "Seconds by step",
                charts.svg(drawn, name="steps"),
                Table("Steps", (*columns, "Cost") if costs else columns, cells),
            ),
        ),
    )


def _step_row(step: Mapping[str, Any], *, priced: bool) -> tuple[str, ...]:
    """Without a cost where the night had no price (RECS_CORE_HOUR_PRICE)."""
    numbers = (step["check_seconds"], step["peak_mb"], step["rows"], step["quarantined"])
    cost = (_price(step["cost"]) if "cost" in step else "",) if priced else ()
    return step["step"], f"{step['seconds']:.1f}", f"{numbers[0]:.1f}", *(count(one) for one in numbers[1:]), *cost


def _price(roubles: float) -> str:
    return money(roubles) if roubles >= 100 else f"₽{roubles:.2f}"
