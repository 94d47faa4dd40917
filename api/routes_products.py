"""The bank's products, as they are served now."""

from fastapi import APIRouter

from api.models import Portrait, PortraitLine, ProductInfo, Products
from api.problems import documented
from api.refusals import UnknownError
from api.running import Running
from api.security import Scope, requires

router = APIRouter(prefix="/api/v1/products", tags=["products"])

_EXAMPLE = {
    "policy_hash": "2d0b9b59bca57eac",
    "products": [
        {
            "product_id": "card_gold",
            "family": "card",
            "name_en": "Gold card",
            "name_ru": "Золотая карта",
            "channels": ["mobile", "web"],
            "is_on_sale": True,
            "is_blocked": False,
        }
    ],
}


@router.get(
    "",
    responses={200: {"content": {"application/json": {"example": _EXAMPLE}}}},
    dependencies=[requires(Scope.RECOMMENDATIONS_READ)],
)
async def products(service: Running) -> Products:
    """Every product of the approved catalogue, and whether it may be shown to anybody today."""
    serving = service.watch.serving
    return Products(
        policy_hash=serving.policy.hash,
        products=[
            ProductInfo(
                product_id=product.product_id,
                family=product.family,
                name_en=product.name.en,
                name_ru=product.name.ru,
                channels=list(product.channels),
                is_on_sale=bool(serving.policy.sold[position]),
                is_blocked=bool(serving.policy.blocked[position]),
            )
            for position, product in enumerate(serving.rule_set.catalogue.products)
        ],
    )


_PORTRAIT = {
    "product_id": "card_gold",
    "snapshot_id": "2026-03-15.1",
    "holders": 1204,
    "features": [{"feature": "money_out_30d", "holders_mean": 61200.0, "everyone_mean": 38100.0}],
}


@router.get(
    "/{product_id}/portrait",
    responses={
        200: {"content": {"application/json": {"example": _PORTRAIT}}},
        404: documented("The snapshot that is served has no portrait of such a product."),
        503: documented("ClickHouse does not answer."),
    },
    dependencies=[requires(Scope.RECOMMENDATIONS_READ)],
)
async def portrait(service: Running, product_id: str) -> Portrait:
    """Who holds a product, beside everyone: means of profile features in the snapshot that is served now."""
    snapshot_id = service.watch.serving.snapshot_id
    is_known = product_id in service.watch.serving.policy.position
    found = await service.store.portrait(snapshot_id, product_id) if is_known and snapshot_id else []
    if not found:
        raise UnknownError("the snapshot that is served has no portrait of such a product")
    lines = [
        PortraitLine(feature=one.feature, holders_mean=one.holders_mean, everyone_mean=one.everyone_mean)
        for one in found
    ]
    return Portrait(product_id=product_id, snapshot_id=snapshot_id, holders=found[0].holders, features=lines)
