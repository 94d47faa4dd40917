"""What the UI says of an asset before any night ran: owner, freshness, columns and links, from its contract if any.

An asset key is a table's name with a slash, `silver/interactions`; assets without a contract are models and the
snapshot.
"""

import warnings
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_project.versions import code_version
from data_contracts.tables import Column, Pii, TableContract, contract, table_names

_ROOT = Path(__file__).resolve().parents[1]
# Of what has no contract: made every night, owned by who runs the nights.
_OWNER = "data-platform"
_FRESHNESS_HOURS = 26


def asset_key(name: str) -> dg.AssetKey:
    """`silver/interactions` as Dagster's key."""
    return dg.AssetKey(name.split("/"))


def asset_spec(
    name: str,
    text: str,
    *,
    job: str,
    group: str,
    partitions: dg.PartitionsDefinition | None,
    deps: Sequence[str] = (),
    kinds: frozenset[str] = frozenset({"spark"}),
    skippable: bool = False,
) -> dg.AssetSpec:
    """The spec of one output of a job. `name` and `deps` are keys with slashes, `text` is what the asset is."""
    promised = _contract(name)
    hours = promised.freshness_hours if promised else _FRESHNESS_HOURS
    return dg.AssetSpec(
        asset_key(name),
        description=_description(text, promised),
        group_name=group,
        deps=[asset_key(dep) for dep in deps],
        kinds={*kinds, *({"deltalake"} if promised else set())},
        owners=[f"team:{promised.owner if promised else _OWNER}"],
        tags={"layer": name.partition("/")[0] if "/" in name else "model", "job": job},
        metadata={**_links(name, job), **(_table(promised) if promised else {})},
        partitions_def=partitions,
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=hours)),
        code_version=code_version(job),
        skippable=skippable,
    )


def _contract(name: str) -> TableContract | None:
    table = name.replace("/", ".")
    return contract(table) if table in table_names() else None


def _description(text: str, promised: TableContract | None) -> str:
    if promised is None:
        return text[0].upper() + text[1:] + "."
    key = f" Key: {', '.join(promised.key)}." if promised.key else ""
    return f"{text[0].upper()}{text[1:]}.\n\nOne row: {promised.grain}.{key}"


def _links(name: str, job: str) -> dict[str, Any]:
    """What to open beside the asset: its contract, the job that writes it, the README."""
    files = {
        "contract": _ROOT / "data_contracts" / "tables" / f"{name.replace('/', '.')}.yaml",
        "job": _ROOT / "spark_jobs" / "jobs" / f"{job}.py",
        "README": _ROOT / "README.md",
    }
    there = {label: str(path) for label, path in files.items() if path.exists()}
    paths = {label: dg.MetadataValue.path(path) for label, path in there.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # code references are the links that the UI opens
        references = [dg.LocalFileCodeReference(file_path=path, label=label) for label, path in there.items()]
        return {**paths, "dagster/code_references": dg.CodeReferencesMetadataValue(code_references=list(references))}


def _table(promised: TableContract) -> dict[str, Any]:
    columns = dg.TableSchema(columns=[_column(promised, column) for column in promised.columns])
    return {
        "dagster/column_schema": columns,
        "dagster/table_name": promised.name,
        "contract_version": promised.version,
        "freshness_hours": promised.freshness_hours,
    }


def _column(promised: TableContract, column: Column) -> dg.TableColumn:
    unit = f" ({column.unit})" if column.unit else ""
    return dg.TableColumn(
        column.name,
        type=column.type.value,
        description=column.description + unit,
        constraints=dg.TableColumnConstraints(nullable=column.nullable, unique=promised.key == (column.name,)),
        tags={} if column.pii is Pii.NONE else {"pii": column.pii.value},
    )
