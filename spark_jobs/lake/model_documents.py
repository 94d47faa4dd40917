"""The JSON documents beside a night's models, such as `products/ranker.json`."""

import json
from typing import Any

from pyarrow import fs

from data_contracts.night import parse_snapshot_id
from spark_jobs.lake.files import file_system, read_bytes


def model_documents(folder: str) -> dict[str, dict[str, Any]]:
    """By their path in the folder; nothing where there is none."""
    system, path = file_system(folder)
    found = system.get_file_info(fs.FileSelector(path, allow_not_found=True, recursive=True))
    paths = [info.path.removeprefix(path).strip("/") for info in found if info.path.endswith(".json")]
    return {name: json.loads(read_bytes(f"{folder}/{name}")) for name in paths}


def documents_of_snapshot(lake: str, snapshot: str | None) -> dict[str, dict[str, Any]]:
    """Those beside the models of the night that made the snapshot at this URI; nothing without one."""
    if snapshot is None:
        return {}
    as_of, _ = parse_snapshot_id(snapshot.rpartition("/")[2])
    return model_documents(f"{lake}/models/{as_of}")
