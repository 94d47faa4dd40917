"""Group `retrieval`: item factors, item-item neighbours, and every user's vector."""

import dagster as dg

from dagster_project.job_assets import job_assets

OUTPUTS = {
    "retrieval_model": "item factors and item-item neighbours, trained on a sample of users",
    "gold/user_vectors": "the vector of every user, by fold-in",
}
DEPS = ("gold/user_history", "gold/item_features", "gold/segments", "silver/items", "silver/brands")
DEPS_OF = {"gold/user_vectors": ("retrieval_model", "gold/user_history")}


def build(partitions: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    return [
        job_assets("retrieval", group="retrieval", outputs=OUTPUTS, deps=DEPS, deps_of=DEPS_OF, partitions=partitions)
    ]
