"""What lists of variants are made with, left beside the night's models, where an experiment or outbound needs them.

Part of job `ranking`. `{models}/uplift`: see `jobs/uplift.py`; a night that trains none takes the champion's.
`{models}/challenger`: the files of the registry's challengers, each checked against its SHA-256, in the layout of the
night's own models.
"""

from collections.abc import Iterator

from pyspark.sql import SparkSession

from data_contracts.models import ModelVersion, NightModels
from data_contracts.night import NightParams
from data_contracts.vocabulary import Kind, Variant
from spark_jobs.lake.files import delete_folder
from spark_jobs.lifecycle.files import bring
from spark_jobs.lifecycle.night import data_facts
from spark_jobs.lifecycle.planning import unfit
from spark_jobs.lifecycle.registry import known_aliases
from spark_jobs.ranking.offers_night import train_retrieval_models

_KINDS = {"products": Kind.PRODUCT, "offers": Kind.OFFER}


def leave_variants(spark: SparkSession, params: NightParams, plan: NightModels) -> NightModels:
    """The plan with the challengers that score. Raises InputError where one's files are not what was registered.

    What cannot be made is a warning: whoever should get it gets personal lists.
    """
    folder = f"{params.models_uri}/{Variant.CHALLENGER}"
    delete_folder(folder)
    wanted = {one.variant: one for one in params.variants}
    if Variant.CHALLENGER not in wanted:
        return plan
    tried = {
        name: model
        for name, model in _challengers(spark, params)
        if name in _KINDS and _KINDS[name] in wanted[Variant.CHALLENGER].kinds
    }
    for name, model in tried.items():
        bring(model, folder, (name,))
        if name == "offers":
            train_retrieval_models(spark, params, champion=model.uri, folder=folder)
    none = () if tried else ("no challenger can score tonight: who should get its lists gets personal ones",)
    return plan.model_copy(update={"tried": tried, "warnings": (*plan.warnings, *none)})


def _challengers(spark: SparkSession, params: NightParams) -> Iterator[tuple[str, ModelVersion]]:
    """Those that can read tonight's data, and have not seen days after it."""
    if params.registry is None:
        return
    aliases, _ = known_aliases(params.registry, params.lake)
    challengers = {name: one.challenger for name, one in aliases.items() if one.challenger is not None}
    blocked = {name for name, _, _ in unfit(challengers, data_facts(spark, params), params.as_of)}
    yield from ((name, model) for name, model in challengers.items() if name not in blocked)
