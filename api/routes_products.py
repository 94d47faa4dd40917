"""The bank's products, as they are served now."""

from fastapi import APIRouter

from api.models import ProductInfo, Products
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
