"""The sample bank's catalogue, rules and reasons: templates in `reference/`, dated for a world and written as YAML."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from data_contracts.catalogue import Catalogue, Reasons, Rules, check_references
from infra.local.world.plan import Plan

_FOLDER = Path(__file__).parent / "reference"


@dataclass(frozen=True)
class Reference:
    catalogue: Catalogue
    rules: Rules
    reasons: Reasons


def read_reference(plan: Plan) -> Reference:
    catalogue = Catalogue.model_validate(_dated(_template("catalogue"), plan))
    rules = Rules.model_validate(_template("rules"))
    check_references(catalogue, rules)
    return Reference(catalogue, rules, Reasons.model_validate(_template("reasons")))


def write_reference(reference: Reference, folder: Path) -> None:
    folder.mkdir(parents=True)
    for name, model in vars(reference).items():
        text = yaml.safe_dump(
            model.model_dump(mode="json", exclude_none=True), allow_unicode=True, sort_keys=False, width=120
        )
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def _template(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return document


def _dated(catalogue: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """`on_sale_from_days` and `on_sale_to_days`, counted from D, become dates."""
    products = []
    for product in catalogue["products"]:
        dates = {
            key.removesuffix("_days"): plan.last_date + timedelta(days=product[key])
            for key in ("on_sale_from_days", "on_sale_to_days")
            if key in product
        }
        products.append({**{key: value for key, value in product.items() if not key.endswith("_days")}, **dates})
    return {**catalogue, "products": products}
