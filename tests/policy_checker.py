"""An independent reading of the rules on showing: plain loops, written from the rules' texts, no arrays.

It shares with the policy only the catalogue's models. Tests hold the two against each other, and any list of shown
products can be checked with `violations`, of offers with `offer_violations`.
"""

from dataclasses import dataclass, field
from datetime import date

from data_contracts.catalogue import Catalogue, Product, Rules


@dataclass(frozen=True)
class Suppression:
    """What a bank was told of a person: not to speak in a channel of `about` (an item, a family, "" for everything);
    or, by `lifts`, that an earlier or later word counts no longer. An erasure always counts.
    """

    name: str
    channel: str
    about: str = ""
    lifts: str = ""
    is_erasure: bool = False


@dataclass(frozen=True)
class Person:
    """A user as a person would write them down; None is unknown.

    `was_unknown`: to the night; what happened since makes nobody known.
    """

    held: frozenset[str] = frozenset()
    birth_year: int | None = None
    region: int | None = None
    income_band: int | None = None
    employment: str | None = None
    score_band: int | None = None
    arrears_days: int | None = None
    agrees_to: frozenset[str] = frozenset()  # mobile, web, crm, profiling
    is_customer: bool = False
    told: tuple[Suppression, ...] = ()
    was_unknown: bool = False

    @property
    def heard(self) -> list[Suppression]:
        """Of what the bank was told, what counts."""
        taken_back = [word.lifts for word in self.told]
        return [word for word in self.told if not word.lifts and (word.is_erasure or word.name not in taken_back)]

    @property
    def is_known(self) -> bool:
        facts = (self.birth_year, self.region, self.income_band, self.employment, self.score_band, self.arrears_days)
        is_anything = self.is_customer or self.held or self.agrees_to or any(fact is not None for fact in facts)
        return bool(is_anything and not self.was_unknown)


@dataclass(frozen=True)
class Checker:
    catalogue: Catalogue
    rules: Rules
    today: date
    blocks: frozenset[str] = frozenset()
    products: dict[str, Product] = field(init=False)
    found: dict[tuple[Person, str, str | None], list[str]] = field(default_factory=dict, init=False, repr=False)
    foes: dict[tuple[str, str], bool] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "products", {product.product_id: product for product in self.catalogue.products})

    def shown(self, person: Person, ranked: list[str], *, channel: str | None, top_k: int) -> list[str]:
        """What of a ranked list is shown: each item in turn, if nothing speaks against it."""
        shown: list[str] = []
        for product_id in ranked:
            if len(shown) < top_k and not self.objections(person, product_id, shown, channel=channel):
                shown.append(product_id)
        return shown

    def violations(self, person: Person, shown: list[str], *, channel: str | None, top_k: int) -> list[str]:
        """What is wrong with a list that was shown; empty where all is well."""
        found = [f"{len(shown)} items, more than {top_k}"] if len(shown) > top_k else []
        for position, product_id in enumerate(shown):
            found += self.objections(person, product_id, shown[:position], channel=channel)
        return found

    def offer_violations(self, person: Person, shown: list[str], *, channel: str, top_k: int) -> list[str]:
        """The same of partners' offers, of which the catalogue says nothing and which are safe for anyone."""
        found = [f"{len(shown)} offers, more than {top_k}"] if len(shown) > top_k else []
        for position, offer_id in enumerate(shown):
            found += self.offer_objections(person, offer_id, shown[:position], channel=channel)
        return found

    def offer_objections(self, person: Person, offer_id: str, above: list[str], *, channel: str) -> list[str]:
        found = ["blocked"] if self._is_blocked(offer_id) else []
        found += ["shown twice"] if offer_id in above else []
        found += self._against_speaking(person, channel, ("", offer_id))
        return [f"{offer_id}: {objection}" for objection in found]

    def objections(self, person: Person, product_id: str, above: list[str], *, channel: str | None) -> list[str]:
        found = [*self._standing(person, product_id, channel), *self._against_list(self.products[product_id], above)]
        return [f"{product_id}: {objection}" for objection in found]

    def _standing(self, person: Person, product_id: str, channel: str | None) -> list[str]:
        """What no list decides, found once."""
        asked = (person, product_id, channel)
        if asked not in self.found:
            product = self.products[product_id]
            self.found[asked] = self._against_product(product, channel) + self._against_person(person, product, channel)
        return self.found[asked]

    def _against_product(self, product: Product, channel: str | None) -> list[str]:
        found = []
        if product.on_sale_from and self.today < product.on_sale_from:
            found.append("not yet sold")
        if product.on_sale_to and self.today > product.on_sale_to:
            found.append("no longer sold")
        if self._is_blocked(product.product_id):
            found.append("blocked")
        if channel and channel not in [str(one) for one in product.channels]:
            found.append("not in this channel")
        return found

    def _against_person(self, person: Person, product: Product, channel: str | None) -> list[str]:
        found = self._against_speaking(person, channel, ("", product.product_id, str(product.family)))
        if not person.is_known and not product.safe_for_anyone:
            found.append("not safe for an unknown user")
        if person.is_known and not self._is_eligible(person, product):
            found.append("not eligible")
        if product.product_id in person.held:
            found.append("held")
        if any(self._never_together(product, self.products[held]) for held in person.held):
            found.append("prohibited with a held product")
        for rule in self.rules.prerequisites:
            if rule.product_id == product.product_id and not any(
                self._is_named(self.products[held], name) for held in person.held for name in rule.any_of
            ):
                found.append("prerequisite not held")
        return found

    @staticmethod
    def _against_speaking(person: Person, channel: str | None, about: tuple[str, ...]) -> list[str]:
        found = []
        if channel and channel not in person.agrees_to and (person.is_known or channel == "crm"):
            found.append("no consent")
        return found + ["suppressed" for word in person.heard if word.channel == channel and word.about in about]

    def _is_blocked(self, item_id: str) -> bool:
        return item_id in self.blocks or item_id in self.rules.blocked_items

    def _against_list(self, product: Product, above: list[str]) -> list[str]:
        found = []
        if product.product_id in above:
            found.append("shown twice")
        if any(self._never_together(product, self.products[other]) for other in above):
            found.append("prohibited with a shown product")
        same_family = [other for other in above if self.products[other].family == product.family]
        if len(same_family) + 1 > self.rules.family_caps.get(product.family, self.rules.default_family_cap):
            found.append("too many of its family")
        return found

    def _never_together(self, one: Product, other: Product) -> bool:
        pair = (one.product_id, other.product_id)
        if pair not in self.foes:
            self.foes[pair] = one.product_id != other.product_id and self._is_prohibited(one, other)
        return self.foes[pair]

    def _is_prohibited(self, one: Product, other: Product) -> bool:
        return any(
            (self._is_named(one, rule.left) and self._is_named(other, rule.right))
            or (self._is_named(one, rule.right) and self._is_named(other, rule.left))
            for rule in self.rules.prohibitions
        )

    @staticmethod
    def _is_named(product: Product, name: str) -> bool:
        return name in (product.product_id, str(product.family))

    def _is_eligible(self, person: Person, product: Product) -> bool:
        bounds = product.eligibility
        oldest = None if person.birth_year is None else self.today.year - person.birth_year
        failed = []
        if bounds.min_age is not None:
            failed.append(oldest is None or oldest - 1 < bounds.min_age)
        if bounds.max_age is not None:
            failed.append(oldest is None or oldest > bounds.max_age)
        if bounds.min_income_band is not None:
            failed.append(person.income_band is None or person.income_band < bounds.min_income_band)
        if bounds.max_score_band is not None:
            failed.append(person.score_band is None or person.score_band > bounds.max_score_band)
        if bounds.max_arrears_days is not None:
            failed.append(person.arrears_days is None or person.arrears_days > bounds.max_arrears_days)
        if bounds.employment is not None:
            failed.append(person.employment not in [str(one) for one in bounds.employment])
        if bounds.regions is not None:
            failed.append(person.region not in bounds.regions)
        return not any(failed)
