"""After a training: the version is registered, judged beside the champion, and one of the two scores the night."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from data_contracts.gate import PROMOTION, asked
from data_contracts.manifest import GateVerdict
from data_contracts.models import UPLIFT, Aliases, DataFacts, ModelVersion
from data_contracts.night import NightParams
from spark_jobs.lifecycle.files import folder_files, keep_files
from spark_jobs.lifecycle.fold import compare
from spark_jobs.lifecycle.promotion import judge_challenger, require_allowed
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

    judged: a ranker's newest cases; verdict: of what is judged otherwise, beside its champion.
    """

    facts: Mapping[str, float]
    judged: Judged | None
    sizes: Mapping[str, object] = field(default_factory=dict)
    importance: Mapping[str, float] = field(default_factory=dict)
    verdict: GateVerdict | None = None


@dataclass(frozen=True)
class Settled:
    """Which version scores, and what was decided, in words."""

    used: ModelVersion
    decision: str


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
    if champion is not None and champion.version == version.version:
        return Settled(champion, f"the files are those of champion {champion.told}")
    why_not = None if champion is None else data.against(champion)
    if champion is None or why_not is not None:
        why = f"champion {champion.told} cannot score: {why_not}" if champion else "the first of its kind"
        registry.crown(version, replaces=champion, actor=_ACTOR, why=why)
        return _told(version, f"{version.told} is champion: {why}")
    return _challenged(registry, version, champion, trained, params=params)


def _challenged(
    registry: Registry, version: ModelVersion, champion: ModelVersion, trained: Trained, *, params: NightParams
) -> Settled:
    verdict = trained.verdict or _verdict(trained.judged, version, seed=params.seed)
    judgement = Judgement(champion.version, verdict)
    shown = told(verdict)
    registry.challenge(version, judgement, actor=_ACTOR, why=f"beside champion {champion.told}: {shown}")
    if not verdict.passed:
        registry.aliases()  # the lake remembers the challenger
        return _told(champion, f"champion {champion.told} stays, challenger {version.told} lost: {shown}")
    registry.crown(version, replaces=champion, actor=_ACTOR, why=shown)
    return _told(version, f"{version.told} is champion instead of {champion.told}: {shown}")


def told(verdict: GateVerdict) -> str:
    """What did not hold, or all that did."""
    shown = verdict.failures or verdict.checks
    return "; ".join(f"{check.name} {check.value:g}, limit {check.limit:g} ({check.why})" for check in shown)


def _verdict(judged: Judged | None, version: ModelVersion, *, seed: int) -> GateVerdict:
    if judged is None or judged.beside is None:
        return GateVerdict.of([asked("enough_cases", 0, "no case that both could be asked about", rules=PROMOTION)])
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
