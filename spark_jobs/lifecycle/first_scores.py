"""The scores of a registered version's first night that passed its gate, kept beside its files: what later nights of
the same version are held against.

Where people let pass that scores had moved since, the night that they published is the first from then on.
"""

from collections.abc import Mapping

from data_contracts.models import ModelVersion
from data_contracts.night import NightParams
from spark_jobs.lake.files import read_bytes, write_bytes
from spark_jobs.lake.snapshot_files import let_pass
from spark_jobs.lifecycle.files import night_models
from spark_jobs.monitoring.model_scores import SCORES_FILE, NightScores, Scores

# Questions of the gate by kind of item; the second one is about single products.
SINCE_TRAINING: Mapping[str, tuple[str, ...]] = {
    "product": ("product_scores_since_training", "products_rescored"),
    "offer": ("offer_scores_since_training",),
}
_MODELS = {"product": "products", "offer": "offers"}


def first_scores(params: NightParams) -> dict[str, Scores]:
    """By kind; nothing of a version of which tonight would be the first night."""
    found = {kind: _first(params, model, kind) for kind, model in _scoring(params).items()}
    return {kind: one for kind, one in found.items() if one is not None and one.as_of < params.as_of}


def keep_first_scores(params: NightParams) -> None:
    """Of a night that passed: tonight's where the version has none yet, else those it was held against."""
    scores = NightScores.read(params.snapshot_uri)
    if scores is None:
        return
    for kind, model in _scoring(params).items():
        first, kept = scores.then.get(kind, scores.now.of_kind(kind)), _kept(model, kind)
        if kept != first:
            write_bytes(f"{model.uri}/{kind}_{SCORES_FILE}", first.model_dump_json().encode())


def _scoring(params: NightParams) -> dict[str, ModelVersion]:
    """By kind of item."""
    plan = night_models(params)
    used = {} if plan is None else plan.used
    return {kind: used[name] for kind, name in _MODELS.items() if name in used}


def _first(params: NightParams, model: ModelVersion, kind: str) -> Scores | None:
    kept = _kept(model, kind)
    if kept is None:
        return None
    for one in let_pass(params.lake, params.as_of):
        is_same = one.manifest.versions.registered.get(_MODELS[kind]) == model.told
        if is_same and one.as_of > kept.as_of and one.checks & {*SINCE_TRAINING[kind]}:
            scores = NightScores.read(one.uri)
            return kept if scores is None else scores.now.of_kind(kind)
    return kept


def _kept(model: ModelVersion, kind: str) -> Scores | None:
    try:
        return Scores.model_validate_json(read_bytes(f"{model.uri}/{kind}_{SCORES_FILE}"))
    except FileNotFoundError:
        return None
