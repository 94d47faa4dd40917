"""The life cycle as the night's jobs see it: the plan, and tonight's data in the models' words."""

from pyspark.sql import SparkSession

from data_contracts.columns import FEATURE_PREFIX
from data_contracts.models import UPLIFT, DataFacts, NightModels
from data_contracts.night import NightParams
from data_contracts.tables import contract
from spark_jobs.features.product_signals import SIGNALS
from spark_jobs.lake.plain import written_of_night
from spark_jobs.lake.tables import read_table
from spark_jobs.lifecycle.files import leave
from spark_jobs.lifecycle.learned import write_training_features
from spark_jobs.lifecycle.planning import plan_night
from spark_jobs.lifecycle.registry import known_aliases
from spark_jobs.monitoring.feature_drift import DRIFT, DRIFT_COLUMNS, drifted_since_training
from spark_jobs.ranking.offers_features import GROUPS

_INPUTS = {
    "products": ("gold.user_features", "silver.customers", "silver.holdings", "silver.product_events"),
    UPLIFT: ("gold.user_features", "silver.campaign_interactions", "silver.customers", "silver.product_events"),
    "offers": ("gold.user_history", "gold.item_features", "gold.segments", "silver.interactions", "silver.items"),
}


def planned(spark: SparkSession, params: NightParams) -> NightModels:
    """Decide what this night does, and leave it beside its models. Raises InputError, see `plan_night`."""
    if params.registry is None:
        plan = NightModels(train=True, why="no registry")
    else:
        aliases, away = known_aliases(params.registry, params.lake)
        plan = plan_night(
            as_of=params.as_of,
            train=params.train,
            every_days=params.train_every_days,
            aliases=aliases,
            data=data_facts(spark, params),
            drifted=drifted_features(params),
            away=away,
        )
    if plan.train:
        write_training_features(spark, params)
    leave(params, plan)
    return plan


def data_facts(spark: SparkSession, params: NightParams) -> dict[str, DataFacts]:
    """By registered model."""
    users = read_table(spark, params.lake, "gold.user_features").columns
    of_users = sorted(name for name in users if name.startswith(FEATURE_PREFIX))
    features = {
        "products": (*of_users, *SIGNALS),
        UPLIFT: tuple(of_users),
        "offers": tuple(name for group in GROUPS for name in group.names),
    }
    settings = {
        **{name: {"horizon_days": str(params.product_horizon_days)} for name in ("products", UPLIFT)},
        "offers": {
            "horizon_days": str(params.offer_horizon_days),
            "domains": ",".join(domain.value for domain in params.offer_domains),
        },
    }
    return {
        name: DataFacts(
            features=features[name],
            contracts={table: contract(table).version for table in tables},
            settings=settings[name],
        )
        for name, tables in _INPUTS.items()
    }


def drifted_features(params: NightParams) -> int:
    """Features that have moved since the training window that they are held against (see `learned`)."""
    return drifted_since_training(written_of_night(params.lake, DRIFT, DRIFT_COLUMNS, params.as_of))
