"""What scoring reads: the night's models and, for every user, one row with all that lists are made from."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from data_contracts.columns import AS_OF, SEGMENT, USER_ID
from data_contracts.experiments import Wanted
from data_contracts.night import NightParams
from data_contracts.policy import Consent, compile_policy
from data_contracts.vocabulary import Variant
from spark_jobs.features.base import Moment
from spark_jobs.features.offer_tables import HISTORY, ITEM_CODES, ITEM_STATS
from spark_jobs.features.product_signals import PAIR_PRODUCTS, PAIR_SIGNALS
from spark_jobs.features.silver import Silver, read_silver
from spark_jobs.features.sources import latest_customers
from spark_jobs.lake.actions import at_once
from spark_jobs.lake.files import file_exists
from spark_jobs.lake.reference import Reference, read_reference
from spark_jobs.lake.tables import read_table
from spark_jobs.ranking.offers_store import load_offer_models
from spark_jobs.ranking.product_cases import product_priors
from spark_jobs.ranking.products import ProductRanker
from spark_jobs.ranking.rows import product_table
from spark_jobs.ranking.uplift import DOCUMENT, UpliftModel
from spark_jobs.ranking.user_blocks import user_rows
from spark_jobs.ranking.user_state import user_state
from spark_jobs.scoring.offer_lists import OfferInputs
from spark_jobs.scoring.stage import ProductModels, StageModels, VariantModels


@dataclass(frozen=True)
class Night:
    """The lake as seen from the night's as-of."""

    spark: SparkSession
    params: NightParams
    silver: Silver
    reference: Reference

    @property
    def moment(self) -> Moment:
        """The as-of."""
        return Moment(self.params.as_of, self.params.cut_off)

    @property
    def product_ids(self) -> list[str]:
        """In code order."""
        return [product.product_id for product in self.reference.catalogue.products]

    def gold(self, name: str) -> DataFrame:
        """A gold table's rows of this as-of, without the column that says so."""
        rows = read_table(self.spark, self.params.lake, name)
        return rows.where(F.col(AS_OF) == F.lit(self.params.as_of)).drop(AS_OF)


def open_night(spark: SparkSession, params: NightParams) -> Night:
    """The lake's tables, and the documents."""
    return Night(spark, params, read_silver(spark, params.lake), read_reference(params.lake))


def stage_models(night: Night) -> StageModels:
    """What the night's rankers are made of. A kind of item without a trained ranker is absent tonight, and so is a
    variant without its models, whose users get personal lists.
    """
    products, offers = at_once(lambda: _products(night), lambda: _offers(night, night.params.models_uri))
    made = (_variant(night, one, products) for one in night.params.variants)
    return StageModels(products, offers, tuple(one for one in made if one.products or one.offers))


def state_of_users(night: Night) -> DataFrame:
    """`user_state` of every user: whoever has features tonight."""
    return user_state(
        night.gold("gold.user_features").select(USER_ID),
        customers=latest_customers(night.silver, night.moment),
        holdings=night.silver.holdings,
        segments=night.gold("gold.segments"),
        products=night.product_ids,
        as_of=night.params.as_of,
    )


@dataclass(frozen=True)
class Audience:
    """Who is in user_state: all users, and by segment those who get a personal list. `rows`: the latter's state."""

    users: int
    profiled: Mapping[int, int]
    rows: DataFrame


def audience(state: DataFrame) -> Audience:
    """Consenting customers get a personal list; everybody does where there are no customers at all."""
    consents = F.col("consents")
    flags = {
        "is_known": consents.bitwiseAND(int(Consent.KNOWN)) != 0,
        "is_consenting": consents.bitwiseAND(int(Consent.PROFILING)) != 0,
    }
    counted = state.withColumns(flags).groupBy(SEGMENT, *flags).count().collect()
    has_customers = any(row["is_known"] for row in counted)
    profiled: Counter[int] = Counter()
    for row in counted:
        if row["is_consenting"] or not has_customers:
            profiled[row[SEGMENT]] += row["count"]
    rows = state.where(flags["is_consenting"]) if has_customers else state
    return Audience(sum(row["count"] for row in counted), dict(profiled), rows)


def lists_input(night: Night, models: StageModels, state: DataFrame, *, partitions: int) -> DataFrame:
    """The stage's input: state, and what the trained rankers ask for; by user, ascending within each partition."""
    rows = state
    if models.products is not None:
        made_with = (models.products, *(one.products for one in models.variants))
        names = dict.fromkeys(name for one in made_with if one for name in one.feature_names)
        rows = user_rows(
            rows, features=night.gold("gold.user_features").select(USER_ID, PAIR_PRODUCTS, PAIR_SIGNALS, *names)
        )
    if any(offers is not None for offers in (models.offers, *(one.offers for one in models.variants))):
        rows = rows.join(night.gold(HISTORY).select(USER_ID, ITEM_CODES, ITEM_STATS), USER_ID, "left")
    return rows.repartition(partitions, USER_ID).sortWithinPartitions(USER_ID)


def _products(night: Night) -> ProductModels | None:
    folder = f"{night.params.models_uri}/products"
    if not file_exists(f"{folder}/ranker.json"):
        return None
    catalogue = night.reference.catalogue
    horizon_days = night.params.product_horizon_days
    priors = product_priors(night.silver, night.moment, catalogue=catalogue, horizon_days=horizon_days)
    return ProductModels(
        ranker=ProductRanker.load(folder),
        products=product_table(catalogue.products, priors),
        policy=compile_policy(catalogue, night.reference.rules, today=night.params.as_of),
        reasons=night.reference.reasons,
    )


def _variant(night: Night, wanted: Wanted, products: ProductModels | None) -> VariantModels:
    """`products` are those of the personal lists: an uplift list tells the same probabilities, in another order."""
    folder = f"{night.params.models_uri}/{wanted.variant}"
    own = None
    if wanted.variant is Variant.UPLIFT:
        if products is not None and file_exists(f"{folder}/{DOCUMENT}"):
            own = replace(products, uplift=UpliftModel.load(folder))
        return VariantModels(wanted, own)
    if products is not None and file_exists(f"{folder}/products/ranker.json"):
        own = replace(products, ranker=ProductRanker.load(f"{folder}/products"))
    return VariantModels(wanted, own, _offers(night, folder))


def _offers(night: Night, models_uri: str) -> OfferInputs | None:
    if not file_exists(f"{models_uri}/offers"):
        return None
    return OfferInputs(
        models=load_offer_models(models_uri),
        products=len(night.product_ids),
        blocked=frozenset(night.reference.rules.blocked_items),
        reasons=night.reference.reasons,
    )
