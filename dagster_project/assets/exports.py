"""Group `outbound`: the morning's standing exports of the snapshot just published, written by the running API."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from dagster_project.asset_specs import asset_spec
from dagster_project.assets.publish import PUBLISHED
from dagster_project.failures import failure, told
from data_contracts.settings import Settings

EXPORTED = "exports/standing"
_TEXT = (
    "the files of RECS_STANDING_EXPORTS, each export once a date and name, below RECS_EXPORTS. A night whose snapshot "
    "is not published makes none"
)


def build(partitions: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """For nights of a bank that names such exports. `recs`, as people call it, asks the API for them."""
    spec = asset_spec(
        EXPORTED,
        _TEXT,
        job="exports",
        group="outbound",
        deps=[PUBLISHED],
        kinds=frozenset({"parquet", "csv"}),
        partitions=partitions,
    )

    @dg.multi_asset(name="standing_exports", specs=[spec])
    def exported(
        context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        with told(context, settings):
            found = _made(settings, context.partition_key)
        yield dg.MaterializeResult(
            asset_key=spec.key,
            metadata={
                "rows": sum(one["lists"] for one in found),
                "bytes": sum(one["bytes"] for one in found),
                "files": sum(len(one["files"]) for one in found),
                "exports": {one["name"]: one["uri"] for one in found},
            },
        )

    return [exported]


def _made(settings: Settings, day: str) -> list[Mapping[str, Any]]:
    """What the command tells. Raises dagster.Failure with its words and exit code."""
    command = [sys.executable, "-m", "infra.cli", "export", "standing", "--json", "--date", day]
    command += ["--data-dir", str(settings.data_dir)]
    command += ["--url", settings.api_url or f"http://127.0.0.1:{settings.api_port}"]
    command += ["--standing", str(settings.standing_exports)]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
    if done.returncode:
        why = " ".join(done.stderr.split()).removeprefix("error: ") or f"exit code {done.returncode}"
        raise failure(why, exit_code=done.returncode)
    found: list[Mapping[str, Any]] = json.loads(done.stdout)
    return found
