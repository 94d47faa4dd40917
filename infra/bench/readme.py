"""Renders the README's table of figures from what was measured."""

from pathlib import Path
from typing import Any

from infra.bench.registry import BENCHES, rows

_README = Path(__file__).resolve().parents[2] / "README.md"
_BEGIN, _END = "<!-- figures: written by make bench -->", "<!-- end of figures -->"


def write_readme(path: Path = _README) -> None:
    """Replace what stands between the two markers."""
    text = path.read_text(encoding="utf-8")
    before, rest = text.split(_BEGIN)
    after = rest.split(_END)[1]
    path.write_text(f"{before}{_BEGIN}\n{table()}\n{_END}{after}", encoding="utf-8")


def table() -> str:
    measured = [row for bench in BENCHES.values() for row in rows(bench)]
    lines = ["| figure | measured | reference | ratio | goal | met |", "|---|---|---|---|---|---|"]
    lines += [_line(row) for row in measured]
    machines = sorted({str(row["machine"]) for row in measured})
    return "\n".join([*lines, "", *(f"Measured on {name}." for name in machines)])


def _line(row: dict[str, Any]) -> str:
    sign = "≤" if row["better"] == "lower" else "≥"
    on_ratio = row["goal_on"] == "ratio"
    goal = "" if row["goal"] is None else f"{'ratio ' if on_ratio else ''}{sign} {_number(row['goal'])}"
    met = {True: "yes", False: "**no**", None: ""}[row["met"]]
    name = f"{row['bench']}: {row['figure']}" + (f" ({row['note']})" if row["note"] else "")
    reference = "" if row["reference"] is None else f"{_number(row['reference'])} {row['unit']}"
    ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
    return f"| {name} | {_number(row['value'])} {row['unit']} | {reference} | {ratio} | {goal} | {met} |"


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 1 else f"{value:.4f}".rstrip("0").rstrip(".")
