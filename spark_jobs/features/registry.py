"""All features: one line an area."""

from collections.abc import Callable, Iterator

from spark_jobs.features.areas import (
    campaign,
    credit,
    customer,
    holdings,
    marketplace,
    money,
    offers,
    payments,
    product,
    receipts,
    retail,
    reviews,
    telemetry,
    transactions,
)
from spark_jobs.features.base import Categories, Feature

FEATURES: tuple[Callable[[Categories], Iterator[Feature]], ...] = (
    marketplace.features,
    retail.features,
    offers.features,
    payments.features,
    receipts.features,
    reviews.features,
    transactions.features,
    telemetry.features,
    product.features,
    campaign.features,
    customer.features,
    credit.features,
    money.features,
    holdings.features,
)


def all_features(categories: Categories) -> tuple[Feature, ...]:
    """Every registered feature, in the order of their names. Raises ValueError where two have one name.

    categories: by T-ECD domain, those with features of their own.
    """
    features = sorted((feature for area in FEATURES for feature in area(categories)), key=lambda feature: feature.name)
    names = [feature.name for feature in features]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"two features of one name: {', '.join(repeated)}")
    return tuple(features)
