"""What lists of variants are made with, left beside the night's models, where an experiment or outbound needs them.

Part of job `ranking`. `{models}/uplift`: see `jobs/uplift.py`; a night that trains nothing takes the newest one of a
night before. `{models}/challenger`: the files of the registry's
challengers, each checked against its SHA-256, in the layout of the night's own models.
"""

from collections.abc import Iterator

from pyarrow import fs
from pyspark.sql import SparkSession

from data_contracts.models import ModelVersion, NightModels
from data_contracts.night import NightParams
from data_contracts.vocabulary import Kind, Variant
from spark_jobs.lake.files import delete_folder, file_exists, file_system
from spark_jobs.lake.tables import read_table
from spark_jobs.lifecycle.files import bring
from spark_jobs.lifecycle.night import data_facts
from spark_jobs.lifecycle.planning import unfit
from spark_jobs.lifecycle.registry import known_aliases
from spark_jobs.ranking.offers_night import train_retrieval_models
from spark_jobs.ranking.uplift import DOCUMENT, UpliftModel

_KINDS = {"products": Kind.PRODUCT, "offers": Kind.OFFER}


def leave_variants(spark: SparkSession, params: NightParams, plan: NightModels) -> NightModels:
    """The plan with the challengers that score. Raises InputError where one's files are not what was registered.

    What cannot be made is a warning: whoever should get it gets personal lists.
    """
    folder = f"{params.models_uri}/{Variant.CHALLENGER}"
    delete_folder(folder)
    wanted = {one.variant: one for one in params.variants}
    if Variant.UPLIFT in wanted and not plan.train:
        _take_over_uplift(spark, params)
    if Variant.CHALLENGER not in wanted:
        return plan
    tried = {
        name: model for name, model in _challengers(spark, params) if _KINDS[name] in wanted[Variant.CHALLENGER].kinds
    }
    for name, model in tried.items():
        bring(model, folder, (name,))
        if name == "offers":
            train_retrieval_models(spark, params, champion=model.uri, folder=folder)
    none = () if tried else ("no challenger can score tonight: who should get its lists gets personal ones",)
    return plan.model_copy(update={"tried": tried, "warnings": (*plan.warnings, *none)})


def _take_over_uplift(spark: SparkSession, params: NightParams) -> None:
    """The newest model, up to this night's, that asks for no feature which tonight's users lack; none where none is."""
    system, root = file_system(f"{params.lake}/models")
    nights = [info.base_name for info in system.get_file_info(fs.FileSelector(root, allow_not_found=True))]
    known = set(read_table(spark, params.lake, "gold.user_features").columns)
    for night in sorted((one for one in nights if one <= params.as_of.isoformat()), reverse=True):
        folder = f"{params.lake}/models/{night}/{Variant.UPLIFT}"
        if file_exists(f"{folder}/{DOCUMENT}"):
            model = UpliftModel.load(folder)
            if known.issuperset(model.user_features):
                model.save(f"{params.models_uri}/{Variant.UPLIFT}")
                return


def _challengers(spark: SparkSession, params: NightParams) -> Iterator[tuple[str, ModelVersion]]:
    """Those that can read tonight's data, and have not seen days after it."""
    if params.registry is None:
        return
    aliases, _ = known_aliases(params.registry, params.lake)
    challengers = {name: one.challenger for name, one in aliases.items() if one.challenger is not None}
    blocked = {name for name, _, _ in unfit(challengers, data_facts(spark, params), params.as_of)}
    yield from ((name, model) for name, model in challengers.items() if name not in blocked)
