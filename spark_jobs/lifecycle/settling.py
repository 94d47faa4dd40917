"""After a training: the version is registered, judged beside the champion, and one of the two scores the night.

A champion that cannot read tonight's data is no measure and cannot score: then the version is judged alone. One that
does not hold scores all the same, as nothing else can, but is not crowned, and the next night trains again.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from data_contracts.manifest import GateVerdict
from data_contracts.models import UPLIFT, Aliases, DataFacts, ModelVersion
from data_contracts.night import NightParams
from spark_jobs.lifecycle.files import folder_files, keep_files
from spark_jobs.lifecycle.fold import compare, cross_fitted, ratios
from spark_jobs.lifecycle.promotion import enough_cases, judge_alone, judge_challenger, require_allowed
from spark_jobs.lifecycle.records import metrics_of, record_of
from spark_jobs.lifecycle.registry import Judgement, Registry
from spark_jobs.ranking.newest import Judged

_log = logging.getLogger(__name__)
_ACTOR = "night"
# Folders of the night's models that make up each registered model.
FOLDERS: Mapping[str, tuple[str, ...]] = {
    "products": ("products",),
    "offers": ("offers", "retrieval"),
    UPLIFT: (UPLIFT,),
}


@dataclass(frozen=True)
class Trained:
    """A model that lies in the night's folder. sizes: hyperparameters; importance: share of gain by feature.

    judged: a ranker's newest cases; verdict: of what is judged otherwise, beside its champion, or alone where that one
    cannot be asked.
    """

    facts: Mapping[str, float]
    judged: Judged | None
    sizes: Mapping[str, object] = field(default_factory=dict)
    importance: Mapping[str, float] = field(default_factory=dict)
    verdict: GateVerdict | None = None


@dataclass(frozen=True)
class Settled:
    """Which version scores, and what was decided, in words. is_makeshift: it does not hold, but nothing else can."""

    used: ModelVersion
    decision: str
    is_makeshift: bool = False


def settle(
    registry: Registry,
    name: str,
    trained: Trained,
    *,
    aliases: Aliases,
    data: DataFacts,
    params: NightParams,
    drifted: int,
) -> Settled:
    """Raises InputError for a feature that no model may use, UnavailableError when the registry went away."""
    require_allowed(data.features)
    version = _registered(registry, name, trained, data=data, params=params, drifted=drifted)
    champion = aliases.champion
    if champion is None:
        why = "the first of its kind"
        registry.crown(version, replaces=None, actor=_ACTOR, why=why)
        return _told(version, f"{version.told} is champion: {why}")
    if champion.version == version.version:
        return Settled(champion, f"the files are those of champion {champion.told}")
    return _challenged(registry, version, champion, trained, unread=data.against(champion), seed=params.seed)


def _challenged(
    registry: Registry,
    version: ModelVersion,
    champion: ModelVersion,
    trained: Trained,
    *,
    unread: str | None,
    seed: int,
) -> Settled:
    """unread: why the champion cannot score tonight's data, None where it can."""
    verdict = trained.verdict or _verdict(trained.judged, version, is_alone=unread is not None, seed=seed)
    alone = "" if unread is None else f"alone, as champion {champion.told} cannot score ({unread}): "
    shown = f"{alone}{told(verdict)}"
    why = shown if alone else f"beside champion {champion.told}: {shown}"
    registry.challenge(version, Judgement(champion.version, verdict), actor=_ACTOR, why=why)
    if verdict.passed:
        registry.crown(version, replaces=champion, actor=_ACTOR, why=shown)
        return _told(version, f"{version.told} is champion instead of {champion.told}: {shown}")
    registry.aliases()  # the lake remembers the challenger
    if alone:
        return replace(_told(version, f"{version.told} scores uncrowned, {shown}"), is_makeshift=True)
    return _told(champion, f"champion {champion.told} stays, challenger {version.told} lost: {shown}")


def told(verdict: GateVerdict) -> str:
    """What did not hold, or all that did."""
    shown = verdict.failures or verdict.checks
    return "; ".join(f"{check.name} {check.value:g}, limit {check.limit:g} ({check.why})" for check in shown)


def _verdict(judged: Judged | None, version: ModelVersion, *, is_alone: bool, seed: int) -> GateVerdict:
    if judged is None:
        return GateVerdict.of([enough_cases(0, "no case that it could be asked about")])
    if is_alone:
        calibration = ratios(judged.fold, cross_fitted(judged.fold, judged.own, seed=seed))
        return judge_alone(int(judged.fold.labels.sum()), calibration, version.features)
    if judged.beside is None:
        return GateVerdict.of([enough_cases(0, "no case that both could be asked about")])
    compared = compare(judged.fold, challenger=judged.own, champion=judged.beside, seed=seed)
    return judge_challenger(compared, version.features)


def _registered(
    registry: Registry, name: str, trained: Trained, *, data: DataFacts, params: NightParams, drifted: int
) -> ModelVersion:
    files = folder_files(params.models_uri, FOLDERS[name])
    uri, digests = keep_files(params.lake, name, params.as_of, files)
    model = ModelVersion(
        name=name,
        as_of=params.as_of,
        uri=uri,
        files=digests,
        features=data.features,
        contracts=data.contracts,
        settings=data.settings,
        drifted=drifted,
        metrics=metrics_of(trained.judged, trained.facts, seed=params.seed),
    )
    record = record_of(model, params, judged=trained.judged, sizes=trained.sizes, importance=trained.importance)
    return registry.register(model, record)


def _told(used: ModelVersion, decision: str) -> Settled:
    _log.warning("%s: %s", used.name, decision)
    return Settled(used, decision)
