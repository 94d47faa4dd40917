"""Whether a registered version can be made again: from the data, parameters and seed that its training recorded."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from data_contracts.models import ModelVersion
from data_contracts.night import NightParams
from spark_jobs.lake.files import digests_of
from spark_jobs.lifecycle.files import folder_files
from spark_jobs.lifecycle.records import DATA_VERSIONS, PARAMETERS
from spark_jobs.lifecycle.registry import Registry
from spark_jobs.lifecycle.settling import FOLDERS


@dataclass(frozen=True)
class Training:
    """What a training is repeated from. `versions`: Delta versions by table."""

    params: NightParams
    versions: Mapping[str, int]


def training_of(registry: Registry, model: ModelVersion) -> Training:
    """Raises InputError for a version from before these were kept, UnavailableError without a registry."""
    kept = registry.record(model, DATA_VERSIONS, PARAMETERS)
    return Training(NightParams.model_validate_json(kept[PARAMETERS]), json.loads(kept[DATA_VERSIONS]))


def files_made(model: ModelVersion, params: NightParams) -> dict[str, str]:
    """SHA-256 by path of what lies in the night's folder of this model, as `ModelVersion.files` has them."""
    return digests_of(folder_files(params.models_uri, FOLDERS[model.name]))
