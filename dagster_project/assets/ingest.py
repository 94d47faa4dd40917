"""Group `ingest`: what the sources delivered, typed, cleaned and in one vocabulary."""

import dagster as dg

from dagster_project.job_assets import job_assets

OUTPUTS = {
    "bronze/deliveries": "which day of which source was read, from which files, with how many rows",
    "silver/interactions": "all behaviour in one shape",
    "silver/customers": "customers with consents and credit profile from when to when",
    "silver/holdings": "which products each user holds or held",
    "silver/aggregates": "turnover and balance by month, as known from when to when",
    "silver/product_events": "applications, approvals, openings and closings",
    "silver/campaign_interactions": "campaign contacts and control groups",
    "silver/items": "offer items with brand, category and embedding",
    "silver/brands": "T-ECD's brands with one clean embedding each",
    "silver/people": "T-ECD's users table",
    "silver/catalogue": "the catalogue of bank products",
    "silver/rules": "the rules on what may be shown",
    "silver/reasons": "reason codes with their texts",
}


def build(partitions: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    return [job_assets("ingest", group="ingest", outputs=OUTPUTS, partitions=partitions)]
