"""Every list of a snapshot's folder, read one by one and held against the rules by the independent checker.

It shares nothing with the gate but the file formats and the catalogue's models.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from data_contracts.catalogue import Catalogue, Rules
from tests.policy_checker import Checker, Person

_LONGEST = 20
_CUSTOMER = 16
_CONSENTS = {"mobile": 1, "web": 2, "crm": 4, "profiling": 8}


@dataclass(frozen=True)
class Read:
    """A list as it was read. dropped: how many of its items would not be shown; wrong: in words, what is wrong."""

    user_id: int
    variant: str
    dropped: int
    wrong: tuple[str, ...]


def read_lists(snapshot: Path, *, today: date) -> Iterator[Read]:
    """Raises KeyError for a user without state, and for an item that the snapshot does not know."""
    rules = Rules.model_validate_json((snapshot / "rules.json").read_bytes())
    checker = Checker(Catalogue.model_validate_json((snapshot / "catalogue.json").read_bytes()), rules, today)
    names = {row["item_code"]: row["item_id"] for row in pq.read_table(snapshot / "items").to_pylist()}
    people = {row["user_id"]: _person(row, names) for row in pq.read_table(snapshot / "user_state").to_pylist()}
    for row in pq.read_table(snapshot / "lists").to_pylist():
        person = people[row["user_id"]]
        products, offers = ([names[code] for code in row[kind]] for kind in ("product_items", "offer_items"))
        kept = checker.shown(person, products, channel=None, top_k=_LONGEST)
        of_products = checker.violations(person, products, channel=None, top_k=_LONGEST)
        of_offers = _against_offers(offers, rules)
        dropped = len(products) - len(kept) + len(of_offers)
        yield Read(row["user_id"], row["variant"], dropped, (*of_products, *of_offers))


def _against_offers(offers: list[str], rules: Rules) -> list[str]:
    """One a forbidden offer."""
    found = []
    for position, offer in enumerate(offers):
        if offer in rules.blocked_items:
            found.append(f"{offer}: blocked")
        elif offer in offers[:position]:
            found.append(f"{offer}: shown twice")
        elif position >= _LONGEST:
            found.append(f"{offer}: beyond the {_LONGEST}th")
    return found


def _person(row: Mapping[str, Any], names: Mapping[int, str]) -> Person:
    """A row of user_state, whose sentinels become None."""
    consents = row["consents"]
    return Person(
        held=frozenset(names[code] for code in row["holdings"]),
        birth_year=row["birth_year"] or None,
        region=_unless_negative(row["region"]),
        income_band=_unless_negative(row["income_band"]),
        employment=row["employment"] or None,
        score_band=row["score_band"] or None,
        arrears_days=_unless_negative(row["arrears_days"]),
        agrees_to=frozenset(name for name, bit in _CONSENTS.items() if consents & bit),
        is_customer=bool(consents & _CUSTOMER),
    )


def _unless_negative(value: int) -> int | None:
    return None if value < 0 else value
