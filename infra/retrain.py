"""The command `recs retrain`: a registered version is trained again from what its training recorded, and compared."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_contracts.errors import GateError, InputError
from data_contracts.models import MODEL_NAMES, UPLIFT, ModelVersion
from data_contracts.settings import Settings
from infra.console import progress, show
from infra.options import AsJson, DataDir, settings_of

if TYPE_CHECKING:
    from spark_jobs.lifecycle.registry import Registry


def retrain(
    name: Annotated[str, typer.Argument(help=f"{', '.join(MODEL_NAMES[:-1])} or {MODEL_NAMES[-1]}.")],
    version: Annotated[int | None, typer.Option(help="A number of recs models. [default: the champion]")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Train a version again on the same data, parameters and seed, beside the lake, and compare its files' SHA-256.

    The lake's tables are read at the Delta versions that were recorded; nothing of the lake or the registry changes.
    Exit code 3 where a file differs: then code, packages or machine are not those of then.

    Examples: `recs retrain products`, `recs retrain offers --version 3 --json`
    """
    settings = settings_of(data_dir=data_dir)
    from spark_jobs.lifecycle.registry import Registry

    registry = Registry(settings.registry_url, lake=settings.lake_uri)
    model = _version(registry, name, version)
    with progress(quiet=as_json) as bars:
        bars.add_task(f"training {name} {model.told} again", total=None)
        files = again(settings, registry, model)
    rows = [
        {"file": path, "registered": model.files.get(path, ""), "again": files.get(path, "")}
        for path in sorted({*model.files, *files})
    ]
    different = [str(row["file"]) for row in rows if row["registered"] != row["again"]]
    show(rows, as_json=as_json, title=f"{name} {model.told}")
    if different:
        raise GateError(f"{name} {model.told} was not made again: {', '.join(different)} differ")


def again(settings: Settings, registry: "Registry", model: ModelVersion) -> dict[str, str]:
    """SHA-256 by path of the files of the same training. Raises InputError where the data of then is gone."""
    from py4j.protocol import Py4JJavaError

    from spark_jobs.jobs.ranking import train_offers, train_products
    from spark_jobs.jobs.uplift import leave_uplift
    from spark_jobs.lake.past import clone_lake
    from spark_jobs.lake.session import spark_session
    from spark_jobs.lifecycle.retraining import files_made, training_of
    from spark_jobs.ranking.offers_night import train_retrieval_models

    training = training_of(registry, model)
    with tempfile.TemporaryDirectory(prefix="recs-retrain-", dir=_beside(settings.lake_uri)) as folder:
        spark = spark_session(
            "recs retrain",
            master=settings.spark_master,
            driver_memory=settings.spark_driver_memory,
            java_options=settings.spark_java_options,
        )
        try:
            clone_lake(spark, settings.lake_uri, training.versions, to=folder)
            params = training.params.model_copy(update={"lake": folder})
            if model.name == "offers":
                train_retrieval_models(spark, params)
                train_offers(spark, params)
            elif model.name == UPLIFT:
                leave_uplift(spark, params)
            else:
                train_products(spark, params)
            return files_made(model, params)
        except Py4JJavaError as error:
            first = str(error.java_exception).splitlines()[0]
            raise InputError(
                f"{model.name} {model.told} cannot be trained again: files of then are gone, by upkeep "
                f"(RECS_VACUUM_HOURS), or because a person was erased: {first}"
            ) from error
        finally:
            spark.stop()


def _beside(lake: str) -> Path | None:
    """On the lake's disk where it is a folder: clones are small, but models need room."""
    return Path(lake).parent if ":" not in lake and Path(lake).is_dir() else None


def _version(registry: "Registry", name: str, number: int | None) -> ModelVersion:
    if name not in MODEL_NAMES:
        raise InputError(f"{name}: there is no such model; there are {', '.join(MODEL_NAMES)}")
    if number is None:
        champion = registry.aliases()[name].champion
        if champion is None:
            raise InputError(f"{name}: there is no champion yet: name a --version of recs models")
        return champion
    found = next((one for one in registry.versions(name) if one.version == number), None)
    if found is None:
        raise InputError(f"{name}: there is no version {number}: see recs models {name}")
    return found
