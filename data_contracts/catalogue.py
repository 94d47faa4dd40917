"""The bank's catalogue of products and the rules on showing them: values that validate themselves.

`catalogue.yaml`, `rules.yaml` and `reasons.yaml` in the reference folder are read into these models at ingest and
travel with the snapshot as JSON. A catalogue that contradicts itself is refused here, before any job runs.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import date

from pydantic import BaseModel, ConfigDict, Field, model_validator

from data_contracts.vocabulary import Channel, Employment, Family


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Eligibility(_Value):
    """Who may be shown a product. Bounds are inclusive; an absent bound does not restrict.

    A user whose attribute is unknown fails every bound that needs it.
    """

    min_age: int | None = Field(None, ge=0, le=150)
    max_age: int | None = Field(None, ge=0, le=150)
    min_income_band: int | None = Field(None, ge=0, le=4, description="0 lowest .. 4 highest")
    max_score_band: int | None = Field(None, ge=1, le=5, description="credit score band: 1 best .. 5 worst")
    max_arrears_days: int | None = Field(None, ge=0)
    employment: tuple[Employment, ...] | None = None
    regions: tuple[int, ...] | None = None


class LocalText(_Value):
    en: str
    ru: str


class Product(_Value):
    product_id: str = Field(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9_-]*$")
    family: Family
    name: LocalText
    value: float = Field(gt=0, description="expected margin of one opening, roubles")
    channels: tuple[Channel, ...] = Field(min_length=1)
    eligibility: Eligibility = Eligibility()
    on_sale_from: date | None = None
    on_sale_to: date | None = Field(None, description="last day of sale, inclusive")
    complements: tuple[str, ...] = Field((), description="product ids that go well with this one (cross-sell)")
    upgrades: tuple[str, ...] = Field((), description="product ids that are a better version of this one (upsell)")
    safe_for_anyone: bool = Field(False, description="may be shown when nothing is known of the user")


class Catalogue(_Value):
    """All bank products, ordered by product_id; the position in `products` is what the policy computes with."""

    version: str = Field(min_length=1)
    products: tuple[Product, ...]

    @model_validator(mode="after")
    def _is_consistent(self) -> "Catalogue":
        ids = [product.product_id for product in self.products]
        _refuse_repeats("product_id", ids)
        known = set(ids)
        for product in self.products:
            missing = sorted({*product.complements, *product.upgrades} - known)
            if missing:
                raise ValueError(f"product {product.product_id} refers to unknown products: {', '.join(missing)}")
        object.__setattr__(self, "products", tuple(sorted(self.products, key=lambda product: product.product_id)))
        return self


class Prohibition(_Value):
    """Items of the two sides are never shown together, nor one to a holder of the other.

    A side names a product or a family.
    """

    left: str
    right: str
    why: str


class Prerequisite(_Value):
    """`product_id` is shown only to holders of at least one of `any_of` (products or families)."""

    product_id: str
    any_of: tuple[str, ...] = Field(min_length=1)


class Rules(_Value):
    """What may be shown, beside the products' own eligibility.

    `family_caps`: most products of a family in one answer.
    """

    version: str = Field(min_length=1)
    prohibitions: tuple[Prohibition, ...] = ()
    prerequisites: tuple[Prerequisite, ...] = ()
    default_family_cap: int = Field(1, ge=1)
    family_caps: dict[Family, int] = {}
    static_popular: tuple[str, ...] = Field(
        (), description="product ids shown when nothing else is to be had, best first"
    )
    blocked_items: tuple[str, ...] = Field((), description="product or offer ids under a compliance stop")

    @model_validator(mode="after")
    def _is_consistent(self) -> "Rules":
        _refuse_repeats("prerequisite for product_id", [rule.product_id for rule in self.prerequisites])
        _refuse_repeats("static_popular", self.static_popular)
        return self


class ReasonCode(_Value):
    """Why an item is shown. `prefixes`: features whose name starts so speak for this reason."""

    code: int = Field(ge=1, le=255)
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    text: LocalText
    prefixes: tuple[str, ...] = ()


class Reasons(_Value):
    version: str = Field(min_length=1)
    reasons: tuple[ReasonCode, ...]

    @model_validator(mode="after")
    def _is_consistent(self) -> "Reasons":
        _refuse_repeats("reason code", [reason.code for reason in self.reasons])
        _refuse_repeats("reason name", [reason.name for reason in self.reasons])
        return self


def check_references(catalogue: Catalogue, rules: Rules) -> None:
    """Refuse rules that speak of products or families the catalogue does not have. Raises ValueError."""
    known = {product.product_id for product in catalogue.products} | {family.value for family in Family}
    named = [name for rule in rules.prohibitions for name in (rule.left, rule.right)]
    named += [name for rule in rules.prerequisites for name in (rule.product_id, *rule.any_of)]
    missing = sorted({*named, *rules.static_popular} - known)
    if missing:
        raise ValueError(f"rules {rules.version} speak of unknown products: {', '.join(missing)}")


def _refuse_repeats(what: str, values: Iterable[object]) -> None:
    repeated = sorted(str(value) for value, count in Counter(values).items() if count > 1)
    if repeated:
        raise ValueError(f"the same {what} more than once: {', '.join(repeated)}")
