"""A catalogue or rule set that contradicts itself is refused, in words that name the culprit."""

import pytest
from pydantic import ValidationError

from data_contracts.catalogue import Catalogue, Product, Prohibition, Rules, check_references
from data_contracts.vocabulary import Channel, Family


def _product(product_id: str, **more: object) -> dict[str, object]:
    return {
        "product_id": product_id,
        "family": Family.CARD,
        "name": {"en": product_id, "ru": product_id},
        "value": 100.0,
        "channels": [Channel.WEB],
        **more,
    }


def _catalogue(*products: dict[str, object]) -> Catalogue:
    return Catalogue.model_validate({"version": "1", "products": products})


def test_two_products_of_one_id_are_refused() -> None:
    with pytest.raises(ValidationError, match="same product_id more than once: gold"):
        _catalogue(_product("gold"), _product("gold"))


def test_an_upgrade_to_an_unknown_product_is_refused() -> None:
    with pytest.raises(ValidationError, match="product gold refers to unknown products: platinum"):
        _catalogue(_product("gold", upgrades=["platinum"]))


def test_products_are_ordered_by_id_whatever_the_file_says() -> None:
    catalogue = _catalogue(_product("zinc"), _product("gold"))
    assert [product.product_id for product in catalogue.products] == ["gold", "zinc"]


def test_rules_about_unknown_products_are_refused() -> None:
    rules = Rules(version="1", prohibitions=(Prohibition(left="gold", right="tin", why="never both"),))
    with pytest.raises(ValueError, match="unknown products: tin"):
        check_references(_catalogue(_product("gold")), rules)


def test_an_unknown_field_is_refused_rather_than_ignored() -> None:
    with pytest.raises(ValidationError, match="colour"):
        Product.model_validate(_product("gold", colour="yellow"))
