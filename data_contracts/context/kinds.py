"""The one table of contexts: what raises which products, how strongly and for which reason, and who stands where.

Strengths are log-odds, as in the overlay's table, and add up with those; what several carry counts once a line. They
change the order only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from data_contracts.catalogue import LocalText, ReasonCode
from data_contracts.vocabulary import Family, Kind, Placement, Screen


@dataclass(frozen=True)
class Context:
    """Of a question. Of a search there is the family that it is about, never its words; ids nobody knows do nothing."""

    screen: Screen | None = None
    placement: Placement | None = None
    search: Family | None = None
    cart: tuple[str, ...] = ()  # item ids
    basket_product: str | None = None  # product id


NO_CONTEXT = Context()


class Source(StrEnum):
    """What of a question, or of its user, raises products."""

    SCREEN = "screen"
    PLACEMENT = "placement"
    SEARCH = "search"
    BASKET = "basket"  # the product that is being taken
    CART = "cart"  # items beside it
    HELD = "held"  # what the user holds that the night's list did not know, where the user may be profiled


class Raises(StrEnum):
    FAMILIES = "families"  # all products of the families that the source is about
    UPGRADES = "upgrades"  # better versions of the source's products (upsell)
    COMPLEMENTS = "complements"  # what goes well with them (cross-sell)


@dataclass(frozen=True)
class ContextKind:
    """`reason` is a code of REASONS, 0 for none."""

    source: Source
    raises: Raises
    strength: float
    reason: int = 0


# Codes at the end of their range; a code of the same number in the bank's reasons.yaml puts it into other words.
UPGRADE_OF_CHOSEN, GOES_WITH_CHOSEN, UPGRADE_OF_HELD, GOES_WITH_HELD = 252, 253, 254, 255
REASONS = tuple(
    ReasonCode(code=code, name=name, text=LocalText(en=en, ru=ru))
    for code, name, en, ru in (
        (UPGRADE_OF_CHOSEN, "upgrade_of_chosen", "A step up from what you chose", "Лучше того, что вы выбрали"),
        (GOES_WITH_CHOSEN, "goes_with_chosen", "Goes well with what you chose", "Дополняет ваш выбор"),
        (UPGRADE_OF_HELD, "upgrade_of_held", "A step up from what you have", "Следующий шаг после вашего продукта"),
        (GOES_WITH_HELD, "goes_with_held", "Goes well with what you have", "Дополняет то, что у вас есть"),
    )
)

# Of several reasons the first line's is told.
KINDS = (
    ContextKind(Source.SCREEN, Raises.FAMILIES, 0.6),
    ContextKind(Source.PLACEMENT, Raises.FAMILIES, 0.4),
    ContextKind(Source.SEARCH, Raises.FAMILIES, 1.5),
    ContextKind(Source.BASKET, Raises.UPGRADES, 1.5, UPGRADE_OF_CHOSEN),
    ContextKind(Source.BASKET, Raises.COMPLEMENTS, 2.0, GOES_WITH_CHOSEN),
    ContextKind(Source.CART, Raises.COMPLEMENTS, 1.5, GOES_WITH_CHOSEN),
    ContextKind(Source.HELD, Raises.UPGRADES, 0.3, UPGRADE_OF_HELD),
    ContextKind(Source.HELD, Raises.COMPLEMENTS, 0.2, GOES_WITH_HELD),
)

SCREENS: Mapping[Screen, tuple[Family, ...]] = {
    Screen.MAIN: (),
    Screen.HISTORY: (),
    Screen.TRANSFERS: (),
    Screen.PAYMENTS: (Family.CASHBACK,),
    Screen.OFFERS: (Family.CASHBACK,),
    Screen.PROFILE: (),
    Screen.CHAT: (),
    Screen.MAP: (),
    Screen.LOANS: (Family.LOAN,),
    Screen.LOAN_CALCULATOR: (Family.LOAN,),
    Screen.CARDS: (Family.CARD,),
    Screen.CARD_ORDER: (Family.CARD,),
    Screen.DEPOSITS: (Family.DEPOSIT,),
    Screen.DEPOSIT_CALCULATOR: (Family.DEPOSIT,),
    Screen.SAVINGS: (Family.SAVINGS,),
    Screen.GOALS: (Family.SAVINGS,),
    Screen.PREMIUM: (Family.PREMIUM,),
    Screen.INVESTMENTS: (Family.INVESTMENT,),
    Screen.STOCK_MARKET: (Family.INVESTMENT,),
    Screen.CASHBACK: (Family.CASHBACK,),
    Screen.BONUSES: (Family.CASHBACK,),
    Screen.MORTGAGE: (Family.MORTGAGE,),
    Screen.MORTGAGE_CALCULATOR: (Family.MORTGAGE,),
    Screen.INSURANCE: (Family.INSURANCE,),
}


@dataclass(frozen=True)
class Place:
    """`pattern`: kinds of its items from the first on, over and over; where one ends the other fills its places."""

    pattern: tuple[Kind, ...] = (Kind.PRODUCT,)
    families: tuple[Family, ...] = ()


PLACEMENTS: Mapping[Placement, Place] = {
    Placement.BANNER: Place(),
    Placement.FEED: Place((Kind.PRODUCT, Kind.PRODUCT, Kind.OFFER)),
    Placement.PRODUCT_PAGE: Place(),
    Placement.SEARCH_RESULTS: Place(),
    Placement.CHECKOUT: Place(families=(Family.INSURANCE, Family.CASHBACK)),
    Placement.RECEIPT: Place((Kind.OFFER, Kind.PRODUCT), (Family.CASHBACK,)),
    Placement.SHOWCASE: Place((Kind.OFFER, Kind.OFFER, Kind.PRODUCT), (Family.CASHBACK,)),
}


def pattern_of(placement: Placement | None) -> tuple[Kind, ...]:
    """What a placement shows where nobody asks for a kind."""
    return PLACEMENTS[placement].pattern if placement else Place().pattern
