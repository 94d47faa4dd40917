"""Group `ranking`: the gradient-boosted rankers and their calibration."""

import dagster as dg

from dagster_project.job_assets import job_assets

OUTPUTS = {
    "ranker": "gradient-boosted trees for products and for offers",
    "calibrator": "from ranker score to probability, per family, fitted on later data",
}
DEPS = (
    "silver/interactions",
    "silver/customers",
    "silver/holdings",
    "silver/aggregates",
    "silver/items",
    "silver/brands",
    "silver/product_events",
    "silver/campaign_interactions",
    "silver/catalogue",
    "silver/rules",
    "gold/user_features",
    "retrieval_model",
)


def build(partitions: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    return [job_assets("ranking", group="ranking", outputs=OUTPUTS, deps=DEPS, partitions=partitions)]
