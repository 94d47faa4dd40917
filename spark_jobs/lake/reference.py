"""The bank's reference documents as ingest left them: catalogue, rules and reasons, or that there are none."""

from dataclasses import dataclass

from pyspark.sql import SparkSession

from data_contracts.catalogue import Catalogue, Reasons, Rules
from spark_jobs.lake.tables import read_table


@dataclass(frozen=True)
class Reference:
    """Without a reference source all three are empty: no products, no rules, no reasons."""

    catalogue: Catalogue
    rules: Rules
    reasons: Reasons


def read_reference(spark: SparkSession, lake: str) -> Reference:
    none = '{"version": "none", "%s": []}'
    return Reference(
        catalogue=Catalogue.model_validate_json(_document(spark, lake, "silver.catalogue") or none % "products"),
        rules=Rules.model_validate_json(_document(spark, lake, "silver.rules") or none % "prohibitions"),
        reasons=Reasons.model_validate_json(_document(spark, lake, "silver.reasons") or none % "reasons"),
    )


def _document(spark: SparkSession, lake: str, table: str) -> str | None:
    rows = read_table(spark, lake, table).select("document").collect()
    return rows[0][0] if rows else None
