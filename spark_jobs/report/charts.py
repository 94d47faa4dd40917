"""Altair charts as SVG: no script runs in the page, numbers appear on hover, and a printer sees what a screen does.

Colours are of Okabe and Ito, "Color Universal Design", 2008, and of cividis (Nuñez, Anderton and Renslow, 2018), both
for readers who see few colours.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import altair as alt
import vl_convert
from markupsafe import Markup

BLUE, ORANGE, GREEN, SKY, PINK, GREY = "#0072B2", "#D55E00", "#009E73", "#56B4E9", "#CC79A7", "#8A94A3"
CATEGORIES = [BLUE, ORANGE, GREEN, PINK, SKY, "#E69F00", "#332288", GREY, "#6B4C00"]
WIDTH = 640
_CONFIG = {
    "background": "transparent",
    "font": "Helvetica Neue, Helvetica, Arial, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "#3d4756",
        "titleColor": "#3d4756",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "gridColor": "#e6e9ee",
        "domainColor": "#b9c0ca",
        "tickColor": "#b9c0ca",
        "labelLimit": 260,
    },
    "legend": {"labelColor": "#3d4756", "titleColor": "#3d4756", "labelFontSize": 12, "titleFontWeight": "normal"},
    "header": {"labelColor": "#1b2330", "labelFontSize": 12, "title": None},
    "range": {"category": CATEGORIES, "heatmap": {"scheme": "cividis"}},
}
# What the library calls a mark that stands for a row, with the words that `description` gave it.
_MARK = re.compile(r'<(path|text|line|rect) (aria-label="([^"]*)" role="graphics-symbol"[^>]*?)/>')
_SIZE = re.compile(r'^<svg([^>]*?) width="([\d.]+)" height="[\d.]+"')

Rows = Sequence[Mapping[str, Any]]


def data(rows: Rows) -> dict[str, Any]:
    return {"values": [dict(row) for row in rows]}


def svg(chart: alt.TopLevelMixin, *, name: str) -> Markup:
    """Markup to stand in a page; `name` keeps its ids apart from those of other plots, and tells what it is."""
    drawn = vl_convert.vegalite_to_svg({**chart.to_dict(), "config": _CONFIG})
    drawn = _MARK.sub(r"<\1 \2><title>\3</title></\1>", drawn)
    drawn = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{re.escape(name)}-", drawn)
    label = Markup.escape(name.replace("-", " "))
    return Markup(_SIZE.sub(rf'<svg\1 style="max-width:\2px" role="img" aria-label="{label}"', drawn))  # noqa: S704


def bars(rows: Rows, *, value: str, label: str, title: str, form: str = ",.3~s") -> alt.LayerChart:
    """Horizontal bars in the order of the rows, each with its number; `says` of a row is told on hover, `shade` is the
    colour of its bar.
    """
    # Numbers left of bars must not run into the labels.
    room = alt.Scale(padding=52) if any(float(row[value]) < 0 for row in rows) else alt.Undefined
    base = alt.Chart(data(rows), width=WIDTH - 200, height=alt.Step(22)).encode(
        y=alt.Y(f"{label}:N", sort=None, title=None),
        x=alt.X(f"{value}:Q", title=title, scale=room, axis=alt.Axis(format=form, tickCount=5)),
        description="says:N",
    )
    is_shaded = any("shade" in row for row in rows)
    shade = alt.Color("shade:N", scale=None) if is_shaded else alt.value(BLUE)
    is_left = f"datum['{value}'] < 0"
    numbers = base.mark_text(
        color="#3d4756",
        fontSize=12,
        align=alt.expr(f"{is_left} ? 'right' : 'left'"),
        dx=alt.expr(f"{is_left} ? -5 : 5"),
    ).encode(text=alt.Text(f"{value}:Q", format=form))
    drawn: alt.LayerChart = base.mark_bar(height=15).encode(color=shade) + numbers
    return drawn


def heat(
    rows: Rows,
    *,
    x: str,
    y: str,
    value: str,
    title: str,
    form: str = ".0%",
    scheme: Literal["blues", "purpleorange"] = "blues",
    middle: bool = False,
) -> alt.LayerChart:
    """Tiles with their numbers in them, in the order of the rows. `middle`: 0 is the middle of the colours."""
    values = [float(row[value]) for row in rows] or [0.0]
    most = max(abs(one) for one in values) or 1.0
    domain = [-most, most] if middle else [0.0, most]
    base = alt.Chart(data(rows), width=alt.Step(66), height=alt.Step(25)).encode(
        x=alt.X(
            f"{x}:N", sort=None, title=None, axis=alt.Axis(orient="top", labelAngle=-30, domain=False, ticks=False)
        ),
        y=alt.Y(f"{y}:N", sort=None, title=None, axis=alt.Axis(domain=False, ticks=False)),
        description="says:N",
    )
    colour = alt.Color(f"{value}:Q", title=title, scale=alt.Scale(scheme=scheme, domain=domain), legend=None)
    dark = f"abs(datum['{value}']) > {most * 0.6}"
    words = base.mark_text(fontSize=11).encode(
        text=alt.Text("shown:N") if rows and "shown" in rows[0] else alt.Text(f"{value}:Q", format=form),
        color=alt.condition(dark, alt.value("white"), alt.value("#1b2330")),
    )
    drawn: alt.LayerChart = base.mark_rect(stroke="white", strokeWidth=1).encode(color=colour) + words
    return drawn


def intervals(rows: Rows, *, label: str, title: str, form: str = ".2f") -> alt.LayerChart:
    """A dot a row at `value`, with a line from `low` to `high`; rows with `baseline` get a tick there too."""
    base = alt.Chart(data(rows), width=WIDTH - 200, height=alt.Step(26)).encode(
        y=alt.Y(f"{label}:N", sort=None, title=None), description="says:N"
    )
    x = alt.X("value:Q", title=title, scale=alt.Scale(zero=False), axis=alt.Axis(format=form, tickCount=6))
    line = base.mark_rule(strokeWidth=3, color=SKY).encode(x=alt.X("low:Q", title=title), x2="high:Q")
    tick = base.mark_tick(color=ORANGE, thickness=3, height=16).encode(x=alt.X("baseline:Q", title=title))
    drawn: alt.LayerChart = line + base.mark_circle(size=90, color=BLUE, opacity=1).encode(x=x) + tick
    return drawn


def curves(
    rows: Rows, *, x: str, y: str, colour: str, x_title: str, y_title: str, form: str = "~g", log: bool = False
) -> alt.Chart:
    """Lines with dots; a row a dot. `form`: of the numbers along x; `log`: those by powers of ten."""
    along = alt.X(
        f"{x}:Q",
        title=x_title,
        scale=alt.Scale(type="log") if log else alt.Scale(zero=False),
        axis=alt.Axis(format=form, tickCount=6),
    )
    drawn: alt.Chart = (
        alt.Chart(data(rows), width=WIDTH - 140, height=260)
        .mark_line(point=alt.OverlayMarkDef(size=36))
        .encode(
            x=along,
            y=alt.Y(f"{y}:Q", title=y_title, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=6)),
            color=alt.Color(f"{colour}:N", sort=None, title=None),
            description="says:N",
        )
    )
    return drawn


def said_and_observed(rows: Rows) -> alt.FacetChart:
    """Small plots, one a `family`, of `observed` over `predicted`, with the line on which they are equal."""
    along = alt.X("predicted:Q", title="said", axis=alt.Axis(format=".2~%", tickCount=3))
    base = alt.Chart(width=150, height=120).encode(x=along)
    equal = base.mark_line(color="#b9c0ca", strokeDash=[4, 3]).encode(y=alt.Y("predicted:Q", title="observed"))
    observed = base.mark_line(color=BLUE, point=alt.OverlayMarkDef(size=30, color=BLUE)).encode(
        y=alt.Y("observed:Q", title="observed", axis=alt.Axis(format=".2~%", tickCount=4)), description="says:N"
    )
    drawn: alt.FacetChart = (
        alt.layer(equal, observed, data=data(rows))
        .facet(alt.Facet("family:N", title=None), columns=3)
        .resolve_scale(x="independent", y="independent")
    )
    return drawn
