"""What is different from yesterday: in words, and by item."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_jobs.report import charts
from spark_jobs.report.facts import Facts, Snapshot
from spark_jobs.report.parts import Plot, Section, Table, count, listed, share

_MOVERS = 10
# A smaller step of an item's share is noise to a reader.
_LEAST_STEP = 0.001

Floats = NDArray[np.float64]


def changes(facts: Facts) -> Section:
    now, before = facts.now, facts.before
    if before is None:
        return Section(
            "changes",
            "What changed since yesterday",
            "This is the first snapshot: there is nothing yet to compare it with.",
            words=(f"It holds {count(now.seen.lists)} personal lists of {len(now.names):,} items.",),
            missing="From the next night on this section tells what moved.",
        )
    since = before.manifest.snapshot_id
    return Section(
        "changes",
        "What changed since yesterday",
        f"Tonight beside {since}, the last snapshot of an earlier date that passed its gate.",
        words=tuple(_sentences(facts, before)),
    )


def _sentences(facts: Facts, before: Snapshot) -> Iterator[str]:
    now = facts.now
    more = now.seen.lists - before.seen.lists
    yield f"{count(now.seen.lists)} people have a personal list, {_step(more)}."
    values = {check.name: check.value for check in now.manifest.gate.checks}
    for kind in ("product", "offer"):
        overlap = values.get(f"{kind}_overlap")
        if overlap is not None:
            yield f"Lists of {kind}s are {share(overlap)} the same as before (rank-biased overlap)."
    for text, ours, theirs in (("new", now, before), ("gone", before, now)):
        for kind, items in (("product", slice(None, ours.products)), ("offer", slice(ours.products, None))):
            found = _only(ours, theirs, items)
            if found:
                of, verb = (f"{kind}s", "are") if len(found) > 1 else (kind, "is")
                yield f"{len(found):,} {of} {verb} {text}: {listed(found)}."
    yield from _versions(now, before)


def _only(ours: Snapshot, theirs: Snapshot, items: slice) -> list[str]:
    known = set(theirs.items)
    return [name for item, name in zip(ours.items[items], ours.names[items], strict=True) if item not in known]


def _versions(now: Snapshot, before: Snapshot) -> Iterator[str]:
    ours, theirs = now.manifest.versions, before.manifest.versions
    for what in ("catalogue", "rules", "reasons"):
        if getattr(ours, what) != getattr(theirs, what):
            yield f"The {what} went from {getattr(theirs, what)} to {getattr(ours, what)}."
    changed = sorted(
        {path.partition("/")[0] for path, digest in ours.models.items() if theirs.models.get(path) != digest}
    )
    yield f"New models score: {', '.join(changed)}." if changed else "The models are those of yesterday."
    if ours.registered:
        yield f"Registered as {', '.join(f'{name} {told}' for name, told in ours.registered.items())}."


def _step(more: int) -> str:
    return "as many as before" if more == 0 else f"{count(abs(more))} {'more' if more > 0 else 'fewer'} than before"


def movers(facts: Facts) -> Section:
    title = "Top movers"
    if facts.before is None:
        meaning = "Nothing can have moved yet; these items stand on the most lists tonight."
        plots = tuple(_ranking(facts.now, kind) for kind in ("product", "offer") if _listed_of(facts.now, kind).any())
        return Section("movers", title, meaning, plots=plots, missing="Movers are told from the second night on.")
    found = [_moves(facts.now, facts.before, kind) for kind in ("product", "offer")]
    plots = tuple(plot for plot in found if plot is not None)
    meaning = "Items whose share of all personal lists rose or fell most since yesterday."
    return Section("movers", title, meaning, plots=plots, missing="" if plots else "No item moved by a thousandth.")


def _codes(snapshot: Snapshot, kind: str) -> range:
    return range(snapshot.products) if kind == "product" else range(snapshot.products, len(snapshot.items))


def _listed_of(snapshot: Snapshot, kind: str) -> Floats:
    """Share of lists that hold each item of the kind, in order of their codes."""
    codes = _codes(snapshot, kind)
    return np.asarray(snapshot.seen.listed[codes.start : codes.stop] / max(snapshot.seen.lists, 1), np.float64)


def _ranking(snapshot: Snapshot, kind: str) -> Plot:
    shares, first = _listed_of(snapshot, kind), _codes(snapshot, kind).start
    top = np.argsort(-shares, kind="stable")[:_MOVERS]
    rows = [
        {
            "item": snapshot.names[first + n],
            "share": shares[n],
            "says": f"{snapshot.names[first + n]}: {share(shares[n])}",
        }
        for n in top
    ]
    table = Table(f"{kind.title()}s on most lists", ("Item", "Share of lists"), _cells(rows, ("item", "share")))
    drawn = charts.bars(rows, value="share", label="item", title="share of personal lists", form=".0%")
    return Plot(f"{kind.title()}s on most lists", charts.svg(drawn, name=f"listed-{kind}s"), table)


@dataclass(frozen=True)
class _Move:
    item: str
    before: float
    now: float

    @property
    def step(self) -> float:
        return self.now - self.before

    def as_row(self) -> dict[str, object]:
        says = f"{self.item}: {share(self.before)} to {share(self.now)}"
        shade = charts.BLUE if self.step > 0 else charts.ORANGE
        return {
            "item": self.item,
            "before": self.before,
            "now": self.now,
            "step": self.step,
            "shade": shade,
            "says": says,
        }


def _moves(now: Snapshot, before: Snapshot, kind: str) -> Plot | None:
    then = dict(zip((before.items[code] for code in _codes(before, kind)), _listed_of(before, kind), strict=True))
    ours = zip(_codes(now, kind), _listed_of(now, kind), strict=True)
    moves = [
        _Move(now.names[code], float(then.get(now.items[code], 0.0)), float(listed_now)) for code, listed_now in ours
    ]
    most = sorted(moves, key=lambda move: -abs(move.step))[:_MOVERS]
    rows = [move.as_row() for move in sorted(most, key=lambda move: -move.step) if abs(move.step) >= _LEAST_STEP]
    if not rows:
        return None
    title, names = f"{kind.title()}s that moved", ("item", "before", "now", "step")
    table = Table(title, ("Item", "Before", "Now", "Step"), _cells(rows, names))
    drawn = charts.bars(rows, value="step", label="item", title="change of share of lists", form="+.1%")
    return Plot(title, charts.svg(drawn, name=f"moved-{kind}s"), table)


def _cells(rows: Sequence[dict[str, object]], names: Sequence[str]) -> list[tuple[str, ...]]:
    return [
        tuple(share(cell) if isinstance(cell, float) else str(cell) for cell in (row[name] for name in names))
        for row in rows
    ]
