"""A person's moves: promote what the rule lets through, demote a champion to the one before."""

from data_contracts.errors import GateError, InputError
from data_contracts.models import MODEL_NAMES, Aliases, ModelVersion
from spark_jobs.lifecycle.files import checked_files
from spark_jobs.lifecycle.registry import Registry
from spark_jobs.lifecycle.settling import told


def promote(registry: Registry, name: str, number: int | None, *, actor: str, why: str) -> ModelVersion:
    """Make a version champion, by default the challenger.

    Raises InputError for an unknown one, or one whose files are not what was registered; GateError naming the rule
    that it breaks, or that nobody has held it beside the present champion.
    """
    aliases = _aliases(registry, name)
    version = _wanted(registry, name, number, aliases)
    champion = aliases.champion
    if champion is not None and champion.version == version.version:
        raise InputError(f"{name} {version.told} is champion already")
    checked_files(version)
    if champion is not None:
        _require_won(registry, version, champion)
    registry.crown(version, replaces=champion, actor=actor, why=why or "promoted by hand")
    return version


def demote(registry: Registry, name: str, *, actor: str, why: str) -> ModelVersion:
    """The champion before is champion again, and returned. Raises InputError where there is none, or its files are
    gone.
    """
    aliases = _aliases(registry, name)
    if aliases.champion is None:
        raise InputError(f"{name} has no champion: recs models lists what there is")
    if aliases.previous is None:
        raise InputError(
            f"{name} {aliases.champion.told} is the first champion, there is none to go back to: "
            "train another (recs night --train always) and promote it"
        )
    checked_files(aliases.previous)
    registry.dethrone(aliases.champion, to=aliases.previous, actor=actor, why=why or "demoted by hand")
    return aliases.previous


def _aliases(registry: Registry, name: str) -> Aliases:
    if name not in MODEL_NAMES:
        raise InputError(f"{name} is no registered model: there are {' and '.join(MODEL_NAMES)}")
    return registry.aliases()[name]


def _wanted(registry: Registry, name: str, number: int | None, aliases: Aliases) -> ModelVersion:
    if number is None:
        if aliases.challenger is None:
            raise InputError(f"{name} has no challenger: name a version (recs models lists them)")
        return aliases.challenger
    found = {one.version: one for one in registry.versions(name)}
    if number not in found:
        raise InputError(f"{name} has no version {number}: there are {', '.join(map(str, sorted(found))) or 'none'}")
    return found[number]


def _require_won(registry: Registry, version: ModelVersion, champion: ModelVersion) -> None:
    known = registry.judgement(version)
    if known is None or known.against != champion.version:
        beside = "no champion" if known is None else f"version {known.against}"
        raise GateError(
            f"{version.name} {version.told} was held beside {beside}, not champion {champion.told}: only a night that "
            "trains compares (recs night --train always)"
        )
    if not known.verdict.passed:
        raise GateError(f"{version.name} {version.told} breaks the rule of promotion: {told(known.verdict)}")
