"""The JSON documents beside a night's models, such as `products/ranker.json`."""

import json
from typing import Any

from pyarrow import fs

from spark_jobs.lake.files import file_system, read_bytes


def model_documents(folder: str) -> dict[str, dict[str, Any]]:
    """By their path in the folder; nothing where there is none."""
    system, path = file_system(folder)
    found = system.get_file_info(fs.FileSelector(path, allow_not_found=True, recursive=True))
    paths = [info.path.removeprefix(path).strip("/") for info in found if info.path.endswith(".json")]
    return {name: json.loads(read_bytes(f"{folder}/{name}")) for name in paths}
