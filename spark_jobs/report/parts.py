"""What a report is made of, whatever it tells: sections with one sentence of meaning, plots, tables and words."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup


@dataclass(frozen=True)
class Table:
    """Cells are text as shown. `marks`: row number -> "good" or "bad". Shown folded unless `is_open`."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    is_open: bool = False
    marks: Mapping[int, str] | None = None


@dataclass(frozen=True)
class Plot:
    """`svg` is trusted markup of the plotting library; its numbers are in `table` as well."""

    title: str
    svg: Markup
    table: Table | None = None


@dataclass(frozen=True)
class Link:
    """`uri` is only told where no browser opens it."""

    text: str
    uri: str

    @property
    def opens(self) -> bool:
        return self.uri.startswith(("http://", "https://"))


@dataclass(frozen=True)
class Section:
    """`meaning`: one sentence for people who read nothing else. `missing`: what is not there, and how to get it."""

    key: str
    title: str
    meaning: str
    words: Sequence[str] = ()
    links: Sequence[Link] = ()
    plots: Sequence[Plot] = ()
    tables: Sequence[Table] = ()
    missing: str = ""


@dataclass(frozen=True)
class Number:
    """One of the three figures of the headline."""

    value: str
    label: str
    note: str = ""


@dataclass(frozen=True)
class Headline:
    """`tone`: "good" or "bad"."""

    verdict: str
    tone: str
    sentence: str
    numbers: Sequence[Number]


def count(value: float) -> str:
    return f"{value:,.0f}"


def share(value: float) -> str:
    """As in `9.1 %`; without decimals from 10 % on."""
    return f"{value:.0%}" if abs(value) >= 0.0995 else f"{value:.1%}"


def plain(value: float | None) -> str:
    """A number of any size, to four digits."""
    return "" if value is None else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def money(value: float) -> str:
    """Roubles, in thousands or millions where they are many."""
    for size, word in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if abs(value) >= size:
            return f"₽{value / size:.1f} {word}"
    return f"₽{value:.0f}"


def listed(names: Iterable[Any], *, most: int = 5) -> str:
    """`a, b and 3 more`."""
    every = [str(name) for name in names]
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more
