"""Whether a night trains, and which versions it scores with if it does not. Pure."""

from collections.abc import Mapping
from datetime import date

from data_contracts.errors import InputError
from data_contracts.gate import PROMOTION, gate_rules
from data_contracts.models import RANKERS, Aliases, DataFacts, ModelVersion, NightModels
from data_contracts.night import Train


def plan_night(
    *,
    as_of: date,
    train: Train,
    every_days: int,
    aliases: Mapping[str, Aliases],
    data: Mapping[str, DataFacts],
    drifted: int,
    away: str | None = None,
) -> NightModels:
    """drifted: features that have moved since the champions were trained. away: a warning where the registry is.

    Raises InputError where nothing may be trained and a champion is not there, or cannot read tonight's data.
    """
    champions = {name: one.champion for name, one in aliases.items() if one.champion is not None}
    warnings = (away,) if away else ()
    reason = _reason(
        as_of=as_of, train=train, every_days=every_days, aliases=aliases, champions=champions, data=data,
        drifted=drifted, away=away is not None,
    )  # fmt: skip
    if reason is None:
        told = ", ".join(f"champion {name} {model.told}" for name, model in sorted(champions.items()))
        return NightModels(train=False, why=told, used=champions, warnings=warnings)
    from_later = any(model.as_of > as_of for model in champions.values())
    if from_later:
        warnings = (*warnings, "the champions have seen days after this night: it trains for itself, registers nothing")
    return NightModels(
        train=True, why=reason, registers=away is None and not from_later, used=champions, warnings=warnings
    )


def _reason(
    *,
    as_of: date,
    train: Train,
    every_days: int,
    aliases: Mapping[str, Aliases],
    champions: Mapping[str, ModelVersion],
    data: Mapping[str, DataFacts],
    drifted: int,
    away: bool,
) -> str | None:
    """Why this night trains, None where it does not."""
    if not champions.keys() & {*RANKERS}:
        if train == "never":
            raise InputError(
                "no champion to score with: run a night with --train always first (recs models lists them)"
            )
        return "there is no champion yet"
    blocked = next((f"{name} {model.told}: {why}" for name, model, why in unfit(champions, data, as_of)), None)
    if train == "always" and not away:
        return "asked to"
    if blocked is not None:
        if train == "never":
            raise InputError(f"{blocked}: run this night with --train always, or recs demote {blocked.split()[0]}")
        return f"the champion cannot score tonight: {blocked}"
    return None if train == "never" or away else _due(as_of, every_days, aliases, champions, drifted)


def unfit(
    champions: Mapping[str, ModelVersion], data: Mapping[str, DataFacts], as_of: date
) -> list[tuple[str, ModelVersion, str]]:
    """Champions that cannot score the night, each with the reason."""
    found = []
    for name, model in sorted(champions.items()):
        why = f"it has seen days after {as_of}" if model.as_of > as_of else data[name].against(model)
        if why is not None:
            found.append((name, model, why))
    return found


def _due(
    as_of: date,
    every_days: int,
    aliases: Mapping[str, Aliases],
    champions: Mapping[str, ModelVersion],
    drifted: int,
) -> str | None:
    last = _last_trained(aliases)
    age = (as_of - last).days
    if is_due(aliases, as_of=as_of, every_days=every_days):
        return f"last trained on {last}, {age} days ago"
    if age == 0 and not champions.keys() >= {*RANKERS}:
        return "the training of this night was not finished"
    more = drifted - max(model.drifted for model in champions.values())
    rule = gate_rules(PROMOTION)["drifted_features"]
    return None if rule.holds(more) else f"{more} more features than when it was trained have drifted"


def is_due(aliases: Mapping[str, Aliases], *, as_of: date, every_days: int) -> bool:
    """Whether the last training is so long ago that the next is due whatever the data says. Some version is there."""
    return (as_of - _last_trained(aliases)).days >= every_days


def _last_trained(aliases: Mapping[str, Aliases]) -> date:
    return max(one.last_trained for one in aliases.values() if one.last_trained is not None)
