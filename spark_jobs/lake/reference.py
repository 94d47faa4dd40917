"""The bank's reference documents as ingest left them: catalogue, rules and reasons, or that there are none."""

from dataclasses import dataclass

import pyarrow.parquet as pq

from data_contracts.catalogue import Catalogue, Reasons, Rules
from data_contracts.errors import InputError
from spark_jobs.lake.commits import last_write
from spark_jobs.lake.files import file_system
from spark_jobs.lake.tables import table_uri


@dataclass(frozen=True)
class Reference:
    """Without a reference source all three are empty: no products, no rules, no reasons."""

    catalogue: Catalogue
    rules: Rules
    reasons: Reasons


def read_reference(lake: str) -> Reference:
    none = '{"version": "none", "%s": []}'
    return Reference(
        catalogue=Catalogue.model_validate_json(_document(lake, "silver.catalogue") or none % "products"),
        rules=Rules.model_validate_json(_document(lake, "silver.rules") or none % "prohibitions"),
        reasons=Reasons.model_validate_json(_document(lake, "silver.reasons") or none % "reasons"),
    )


def _document(lake: str, table: str) -> str | None:
    """The one row of a table that ingest replaces whole: it lies in the file of the last commit, and asking Spark for
    it would cost a second. None where nothing was ever written. Raises InputError for a commit that wrote something
    else.
    """
    uri = table_uri(lake, table)
    commit = last_write(uri)
    if commit is None:
        return None
    files = [file for file in commit.added if file.rows]
    if len(files) != 1 or files[0].rows != 1:
        raise InputError(f"{uri}: version {commit.version} is not one document: run ingest again")
    system, path = file_system(files[0].uri(uri))
    with system.open_input_file(path) as file:
        return str(pq.read_table(file, columns=["document"]).column("document")[0].as_py())
