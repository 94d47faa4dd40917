"""What it is worth: expected revenue, what came of what was shown, and what the showing itself causes."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from spark_jobs.report import charts
from spark_jobs.report.facts import UPLIFT, Facts
from spark_jobs.report.parts import Plot, Section, Table, count, money, share

_STAGES = ("sent", "shown", "clicked", "purchased")
_DEPTHS = (1, 3, 5, 20)
_WITH_ANSWERS = ("answered", "shown", "clicked", "purchased")


def expected(facts: Facts, *, depth: int) -> float:
    """Roubles: probability × value summed over the first products of every personal list."""
    return float(facts.now.seen.worth[:, :depth].sum())


def revenue(facts: Facts) -> Section:
    worth, products = facts.now.seen.worth, facts.now.catalogue.products
    title = "Expected revenue"
    if not worth.any():
        return Section(
            "revenue", title, "No list holds a product tonight.", missing="Offers have no value in the catalogue."
        )
    families = sorted({product.family.value for product in products})
    of_family = {
        family: worth[[product.family.value == family for product in products]].sum(axis=0) for family in families
    }
    rows = [
        {"family": family, "roubles": float(sums[:5].sum()), "says": f"{family}: {money(float(sums[:5].sum()))}"}
        for family, sums in sorted(of_family.items(), key=lambda one: -one[1][:5].sum())
    ]
    cells = [(family, *(money(float(sums[:depth].sum())) for depth in _DEPTHS)) for family, sums in of_family.items()]
    cells.append(("all", *(money(expected(facts, depth=depth)) for depth in _DEPTHS)))
    table = Table("By family and depth of the list", ("Family", *(f"first {depth}" for depth in _DEPTHS)), cells)
    drawn = charts.bars(rows, value="roubles", label="family", title="roubles, first five places", form=",.3~s")
    per_user = expected(facts, depth=5) / max(facts.now.seen.lists, 1)
    return Section(
        "revenue",
        title,
        f"If people open what the model expects within the horizon, the first five products of all lists bring "
        f"{money(expected(facts, depth=5))}, {money(per_user)} a person; part of that would come without us too.",
        plots=(Plot("Expected margin by family, first five places", charts.svg(drawn, name="revenue"), table),),
    )


def funnel(facts: Facts) -> Section:
    title = "From shown to purchased"
    if not facts.contacts and not facts.answers:
        return Section(
            "funnel",
            title,
            "Nothing is known yet of what people did with what they were shown.",
            missing="Deliver campaign events, or run `recs up` and `recs land`: feedback on answers then lands here.",
        )
    plots, words = [], []
    if facts.contacts:
        days = facts.contact_days
        words.append(f"Campaigns, {len(days)} days from {days[0]} to {days[-1]}: {_rates(facts.contacts)}.")
        plots.append(_steps_plot(facts.contacts, _STAGES, "Campaign contacts", "contacts"))
    if facts.answers:
        words.append(f"Our own answers, last week: {_rates(facts.answers)}.")
        plots.append(_steps_plot(facts.answers, _WITH_ANSWERS, "Answers of the API", "answers"))
    missing = "" if facts.answers else "Feedback on our own answers has not landed: `recs up`, then `recs land`."
    meaning = "How many of those who were shown something clicked, and how many purchased."
    return Section("funnel", title, meaning, words=words, plots=plots, missing=missing)


def _total(events: Mapping[tuple[str, str], int], stage: str) -> int:
    return sum(number for (_, event), number in events.items() if event == stage)


def _rates(events: Mapping[tuple[str, str], int]) -> str:
    shown, clicked, purchased = (_total(events, stage) for stage in ("shown", "clicked", "purchased"))
    if not shown:
        return "nothing was shown"
    return (
        f"{count(shown)} shown, {count(clicked)} clicked ({share(clicked / shown)}), "
        f"{count(purchased)} purchased ({share(purchased / shown)})"
    )


def _steps_plot(events: Mapping[tuple[str, str], int], stages: tuple[str, ...], title: str, name: str) -> Plot:
    channels = sorted({channel for channel, _ in events})
    known = [stage for stage in stages if stage in {event for _, event in events}]
    rows = [
        {"stage": stage, "events": _total(events, stage), "says": f"{stage}: {count(_total(events, stage))}"}
        for stage in known
    ]
    cells = [(stage, *(count(events.get((one, stage), 0)) for one in channels)) for stage in known]
    table = Table(f"{title} by channel", ("", *channels), cells)
    drawn = charts.bars(rows, value="events", label="stage", title="events", form=",d")
    return Plot(title, charts.svg(drawn, name=name), table)


def uplift(facts: Facts) -> Section:
    """Reads `uplift.json` beside the models, which training leaves: `qini`, pairs of a share addressed and the openings
    added, or `why` there is none.
    """
    title, found = "Uplift", facts.models.get(UPLIFT)
    if not found or not found.get("qini"):
        return Section(
            "uplift",
            title,
            "Whether showing causes buying is not known tonight: nobody measured it against a control group.",
            words=_control(facts.contacts),
            missing=_why_no_uplift(found),
        )
    rows = [_point(share_of, extra) for share_of, extra in found["qini"]]
    cells = [(share(row["people"]), f"{row['extra']:.4g}") for row in rows]
    drawn = charts.curves(
        rows,
        x="people",
        y="extra",
        colour="line",
        x_title="share of people addressed, best first",
        y_title="extra purchases",
        form="~g",
    )
    table = Table("Qini curve", ("People addressed", "Extra purchases"), cells)
    meaning = "Purchases that would not have happened without the message, addressing the most promising people first."
    return Section("uplift", title, meaning, plots=(Plot("Qini curve", charts.svg(drawn, name="uplift"), table),))


def _why_no_uplift(found: Mapping[str, Any] | None) -> str:
    why = (found or {}).get("why")
    return f"Not tonight: {why}." if why else "Campaigns with control groups bring the curve of an uplift model here."


def _control(contacts: Mapping[tuple[str, str], int]) -> list[str]:
    held_out = _total(contacts, "held_out")
    return [f"{count(held_out)} draws into control groups are at hand to learn it from."] if held_out else []


def _point(people: Any, extra: Any) -> dict[str, Any]:
    line = "model"
    return {
        "people": float(people),
        "extra": float(extra),
        "line": line,
        "says": f"{share(float(people))}: {float(np.round(extra, 4))}",
    }
