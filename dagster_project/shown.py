"""What the UI shows of one materialisation: the numbers a job reported, and the small tables and plots beside them."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

_SHOWN_DAYS = 14
_TOP_REASONS = 10
_WIDTH, _HEIGHT, _GAP = 16, 48, 4


def materialization_metadata(
    report: Mapping[str, Any], name: str, *, lake: str, past_rows: Mapping[str, int], night: str
) -> dict[str, Any]:
    """Metadata of asset `name` from its job's report (spark_jobs/jobs/runner.py).

    `past_rows`: rows of nights before, by partition; `night`: the partition that was just made.
    """
    table = report_of(report, name)
    rows = int(table.get("rows", 0))
    return {
        "rows": rows,
        **{key: table[key] for key in ("read", "bytes") if table.get(key) is not None},
        "quarantined": table.get("quarantined", 0),
        "job_seconds": round(report["seconds"], 1),
        "check_seconds": round(report.get("check_seconds", 0.0), 1),
        "job_peak_mb": report["peak_mb"],
        **({"jvm_peak_mb": report["jvm_peak_mb"]} if report.get("jvm_peak_mb") else {}),
        "log": dg.MetadataValue.path(report["log"]),
        **({"validation": dg.MetadataValue.path(table["validation"])} if table.get("validation") else {}),
        **({"delta_version": table["version"]} if table.get("version") is not None else {}),
        **_place(name, lake),
        **_tables(table),
        **_nights({**past_rows, night: rows}),
        **dict(table.get("details", {})),
    }


def report_of(report: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What a job said of asset `name`. Reports name lake tables with dots, `silver.interactions`, others plainly."""
    tables: Mapping[str, Mapping[str, Any]] = report["tables"]
    return tables.get(name.replace("/", ".")) or tables.get(name.rpartition("/")[2], {})


def bars(values: Mapping[str, int]) -> str:
    """A bar chart as an image in Markdown; a bar a value, each with its label as a tooltip and in the text below."""
    highest = max(values.values(), default=0) or 1
    boxes = "".join(
        f'<rect x="{number * (_WIDTH + _GAP)}" y="{_HEIGHT - height}" width="{_WIDTH}" height="{height}"'
        f' fill="#4f43dd"><title>{label}: {value:,}</title></rect>'
        for number, (label, value) in enumerate(values.items())
        for height in [max(1, round(_HEIGHT * value / highest))]
    )
    width = len(values) * (_WIDTH + _GAP)
    image = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{_HEIGHT}">{boxes}</svg>'
    data = base64.b64encode(image.encode()).decode()
    text = ", ".join(f"{label}: {value:,}" for label, value in values.items())
    return f"![bars](data:image/svg+xml;base64,{data})\n\n{text}"


def _place(name: str, lake: str) -> dict[str, Any]:
    if not name.startswith(("bronze/", "silver/", "gold/")):
        return {}
    return {"dagster/uri": f"{lake}/{name}"}


def _tables(table: Mapping[str, Any]) -> dict[str, Any]:
    """Top reasons of quarantine, and rows by day where the job wrote days."""
    reasons, days = table.get("reasons") or {}, table.get("days") or {}
    shown: dict[str, Any] = {}
    if reasons:
        top = sorted(reasons.items(), key=lambda one: (-one[1], one[0]))[:_TOP_REASONS]
        shown["quarantine_reasons"] = _records(("reason", "rows"), top)
    if len(days) > 1:
        shown["rows_by_day"] = dg.MetadataValue.md(bars(_last(days)))
    return shown


def _nights(rows: Mapping[str, int]) -> dict[str, Any]:
    return {"rows_of_last_nights": dg.MetadataValue.md(bars(_last(rows)))} if len(rows) > 1 else {}


def _last(values: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(values.items())[-_SHOWN_DAYS:])


def _records(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> dg.TableMetadataValue:
    return dg.MetadataValue.table(records=[dg.TableRecord(dict(zip(names, row, strict=True))) for row in rows])
