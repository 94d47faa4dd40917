"""Group `scoring`: every user's list, and the lists that stand in for it."""

import dagster as dg

from dagster_project.job_assets import job_assets

OUTPUTS = {
    "snapshot/personal": "up to 20 products and 20 offers for every user who may be profiled",
    "snapshot/segment": "the best of each segment",
    "snapshot/popular": "the best of all",
    "snapshot/audience_pool": "the best users of each product, for audiences",
    "snapshot/user_state": "segment, holdings, eligibility attributes and consents of every user",
}
DEPS = (
    "gold/user_features",
    "gold/user_history",
    "gold/item_features",
    "gold/segments",
    "gold/portraits",
    "gold/user_vectors",
    "retrieval_model",
    "ranker",
    "calibrator",
    "silver/customers",
    "silver/holdings",
    "silver/catalogue",
    "silver/rules",
    "silver/reasons",
)
DEPS_OF = {
    "snapshot/audience_pool": (
        "gold/user_features",
        "ranker",
        "calibrator",
        "silver/customers",
        "silver/holdings",
        "silver/catalogue",
        "silver/rules",
    ),
    "snapshot/user_state": (
        "gold/user_features",
        "gold/segments",
        "silver/customers",
        "silver/holdings",
        "silver/catalogue",
    ),
}


def build(partitions: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    return [
        job_assets(
            "scoring",
            group="scoring",
            outputs=OUTPUTS,
            deps=DEPS,
            deps_of=DEPS_OF,
            partitions=partitions,
            claims_attempt=True,
        )
    ]
