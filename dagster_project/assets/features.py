"""Group `features`: users, items and segments as seen from the as-of."""

import dagster as dg

from dagster_project.job_assets import job_assets

OUTPUTS = {
    "gold/user_behaviour": "each user's behaviour folded up to the as-of: the state that the next night starts from",
    "gold/user_features": "every registered feature of every user",
    "gold/feature_profile": "nulls and quantiles of every feature",
    "gold/feature_drift": "every feature beside itself of the last good night and of training",
    "gold/user_history": "each user's latest offer items with decayed counts",
    "gold/item_features": "popularity and attributes of every offer item",
    "gold/segments": "the segment of every user",
    "gold/portraits": "average profile of each product's holders",
}
STREAMS = ("silver/interactions", "silver/product_events", "silver/campaign_interactions", "silver/items")
FACTS = (
    "silver/customers",
    "silver/holdings",
    "silver/aggregates",
    "silver/items",
    "silver/people",
    "silver/catalogue",
)
# What is made from less than everything, so that a repair makes no more stale than it must.
DEPS_OF = {
    "gold/user_behaviour": STREAMS,
    "gold/user_features": ("gold/user_behaviour", *FACTS),
    "gold/feature_profile": ("gold/user_features",),
    "gold/feature_drift": ("gold/user_features",),
    "gold/user_history": ("silver/interactions", "silver/items"),
    "gold/item_features": ("silver/items", "gold/user_history"),
    "gold/segments": ("gold/user_features",),
    "gold/portraits": ("gold/user_features", "silver/holdings"),
}


def build(partitions: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    return [job_assets("features", group="features", outputs=OUTPUTS, deps_of=DEPS_OF, partitions=partitions)]
