"""Who is reached and by which tier, what is recommended to whom, and who holds what."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from spark_jobs.features.segments import ACTIVITIES, CLUSTERS, INCOMES, STAGES
from spark_jobs.report import charts
from spark_jobs.report.facts import Facts, Snapshot
from spark_jobs.report.parts import Plot, Section, Table, count, plain, share
from spark_jobs.report.seen import HEAD

_SEGMENTS_SHOWN = 14
_FEATURES_SHOWN = 9
_FEWEST_HOLDERS = 20
_MOST_PRODUCTS = 24


def segment_name(number: int) -> str:
    """As in `young, high income`."""
    first_cluster = len(STAGES) * len(INCOMES)
    if number == 0:
        return "nothing known"
    if number < first_cluster:
        return f"{STAGES[(number - 1) // len(INCOMES)]}, {INCOMES[(number - 1) % len(INCOMES)]}"
    if number < first_cluster + CLUSTERS:
        return f"cluster {number - first_cluster}"
    return ACTIVITIES[min(number - first_cluster - CLUSTERS, len(ACTIVITIES) - 1)]


def tiers(snapshot: Snapshot) -> dict[str, int]:
    """Users by the best tier that has a list for them tonight."""
    personal = snapshot.seen.personal.tolist()
    without = [max(all_of - own, 0) for all_of, own in zip(snapshot.people, personal, strict=False)]
    segment = sum(users for number, users in enumerate(without) if number in snapshot.segment_lists)
    return {"personal": sum(snapshot.people) - sum(without), "segment": segment, "popular": sum(without) - segment}


def coverage(facts: Facts) -> Section:
    by_tier, users = tiers(facts.now), max(sum(facts.now.people), 1)
    personal = by_tier["personal"] / users
    rows = [
        {"tier": tier, "users": number, "says": f"{tier}: {count(number)} users, {share(number / users)}"}
        for tier, number in by_tier.items()
    ]
    table = Table("Users by tier", ("Tier", "Users", "Share"), [_tier_row(row, users) for row in rows])
    drawn = charts.bars(rows, value="users", label="tier", title="users", form=",d")
    return Section(
        "coverage",
        "Coverage and tiers",
        f"{share(personal)} of {count(users)} users get a list made for them; the others get the list of their "
        "segment, or what is popular, because they did not agree to be profiled or nothing is known of them.",
        plots=(Plot("Users by the tier that answers them", charts.svg(drawn, name="tiers"), table),),
        tables=(_segments(facts.now),),
    )


def _tier_row(row: dict[str, Any], users: int) -> tuple[str, str, str]:
    return row["tier"], count(row["users"]), share(row["users"] / users)


def _segments(snapshot: Snapshot) -> Table:
    rows = [
        (
            segment_name(number),
            count(users),
            share(float(own) / users),
            "yes" if number in snapshot.segment_lists else "no",
        )
        for number, (users, own) in enumerate(zip(snapshot.people, snapshot.seen.personal, strict=False))
        if users
    ]
    return Table("Segments", ("Segment", "Users", "With a personal list", "Has a list of its own"), rows)


def whom(facts: Facts) -> Section:
    title, rows = "What is recommended to whom", _heat_rows(facts.now)
    if not rows:
        return Section("whom", title, "No personal list holds a product tonight.", missing="Only offers were listed.")
    best = max(rows, key=lambda row: row["share"])
    families = list(dict.fromkeys(row["family"] for row in rows))
    names = list(dict.fromkeys(row["segment"] for row in rows))
    cells = {(row["segment"], row["family"]): share(row["share"]) for row in rows}
    table = Table(
        "Family by segment", ("Segment", *families), [(name, *(cells[name, one] for one in families)) for name in names]
    )
    drawn = charts.heat(rows, x="family", y="segment", value="share", title="share")
    return Section(
        "whom",
        title,
        f"Of the first {HEAD} products on people's lists, the share of each family: darkest for “{best['segment']}”, "
        f"where {share(best['share'])} are of the family {best['family']}.",
        plots=(Plot("Families by segment, the largest segments", charts.svg(drawn, name="whom"), table),),
    )


def _heat_rows(snapshot: Snapshot) -> list[dict[str, Any]]:
    if not snapshot.catalogue.products:
        return []
    family_of = np.array([product.family.value for product in snapshot.catalogue.products])
    families, code = np.unique(family_of, return_inverse=True)
    by_family = np.stack([snapshot.seen.shown[:, code == one].sum(axis=1) for one in range(len(families))], axis=1)
    totals = by_family.sum(axis=1)
    largest = [one for one in np.argsort(-totals, kind="stable")[:_SEGMENTS_SHOWN] if totals[one]]
    return [
        {
            "segment": segment_name(int(one)),
            "family": str(name),
            "share": float(by_family[one, number] / totals[one]),
            "says": f"{segment_name(int(one))}, {name}: {share(float(by_family[one, number] / totals[one]))}",
        }
        for one in sorted(largest)
        for number, name in enumerate(families)
    ]


def portraits(facts: Facts) -> Section:
    title, known = "Portraits", [row for row in facts.portraits if _is_told(row)]
    if not known:
        return Section("portraits", title, "No product has holders of whom enough is known.", missing="No holdings.")
    names = {product.product_id: product.name.en for product in facts.now.catalogue.products}
    spread = _spread(known)
    chosen = sorted(spread, key=lambda one: -spread[one])[:_FEATURES_SHOWN]
    rows = _portrait_rows(known, names, chosen)
    table = Table(
        "How holders differ", ("Product", "Holders", "Most unlike everyone"), _told(known, names), is_open=False
    )
    drawn = charts.heat(
        rows,
        x="feature",
        y="product",
        value="log ratio",
        title="holders over everyone",
        scheme="purpleorange",
        middle=True,
    )
    return Section(
        "portraits",
        title,
        "How the average holder of a product differs from everyone: 2× is twice everyone's mean, 0.5× is half of it.",
        plots=(Plot("Holders' mean over everyone's mean", charts.svg(drawn, name="portraits"), table),),
    )


def _is_told(row: Any) -> bool:
    """Means of the same sign that a ratio says something of."""
    holders, everyone = row["holders_mean"], row["everyone_mean"]
    return row["holders"] >= _FEWEST_HOLDERS and holders is not None and bool(everyone) and holders * everyone > 0


def _log_ratio(row: Any) -> float:
    return float(np.clip(np.log2(row["holders_mean"] / row["everyone_mean"]), -3, 3))


def _spread(rows: Sequence[Any]) -> dict[str, float]:
    """How much the products differ in each feature."""
    values: dict[str, list[float]] = {}
    for row in rows:
        values.setdefault(row["feature"], []).append(_log_ratio(row))
    return {feature: float(np.std(of)) for feature, of in values.items()}


def _feature(name: str) -> str:
    return name.removeprefix("f_").removeprefix("customer_").replace("_", " ")


def _portrait_rows(known: Sequence[Any], names: dict[str, str], features: Sequence[str]) -> list[dict[str, Any]]:
    holders = {row["product_id"]: row["holders"] for row in known}
    largest = set(sorted(holders, key=lambda one: -holders[one])[:_MOST_PRODUCTS])
    return [
        {
            "product": names.get(row["product_id"], row["product_id"]),
            "feature": _feature(row["feature"]),
            "log ratio": _log_ratio(row),
            "shown": f"{2 ** _log_ratio(row):.1f}×",
            "says": f"{names.get(row['product_id'], row['product_id'])}, {_feature(row['feature'])}: "
            f"holders {plain(row['holders_mean'])}, everyone {plain(row['everyone_mean'])}",
        }
        for feature in features
        for row in known
        if row["feature"] == feature and row["product_id"] in largest
    ]


def _told(known: Sequence[Any], names: dict[str, str]) -> list[tuple[str, str, str]]:
    by_product: dict[str, list[Any]] = {}
    for row in known:
        by_product.setdefault(row["product_id"], []).append(row)
    return [
        (names.get(product, product), count(rows[0]["holders"]), ", ".join(_most_unlike(rows)))
        for product, rows in by_product.items()
    ]


def _most_unlike(rows: Sequence[Any]) -> list[str]:
    ordered = sorted(rows, key=lambda row: -abs(_log_ratio(row)))[:3]
    return [f"{_feature(row['feature'])} {2 ** _log_ratio(row):.1f}×" for row in ordered]
