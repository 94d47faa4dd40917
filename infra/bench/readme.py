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
    for row in measured:
        shown = cells(row)
        shown["figure"] += f" ({row['note']})" if row["note"] else ""
        shown["met"] = "**no**" if shown["met"] == "no" else shown["met"]
        lines.append(f"| {' | '.join(shown.values())} |")
    machines = sorted({str(row["machine"]) for row in measured})
    return "\n".join([*lines, "", *(f"Measured on {name}." for name in machines)])


def cells(row: dict[str, Any]) -> dict[str, str]:
    """A figure as people read it."""
    sign = "≤" if row["better"] == "lower" else "≥"
    on_ratio = "ratio " if row["goal_on"] == "ratio" else ""
    return {
        "figure": f"{row['bench']}: {row['figure']}",
        "measured": f"{_number(row['value'])} {row['unit']}".strip(),
        "reference": "" if row["reference"] is None else f"{_number(row['reference'])} {row['unit']}".strip(),
        "ratio": "" if row["ratio"] is None else f"{row['ratio']:.2f}",
        "goal": "" if row["goal"] is None else f"{on_ratio}{sign} {_number(row['goal'])}",
        "met": {True: "yes", False: "no", None: ""}[row["met"]],
    }


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 1 else f"{value:.4f}".rstrip("0").rstrip(".")
