"""What contexts raise, and how placements mix: the pure core alone."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.catalogue import Catalogue, LocalText, Product
from data_contracts.context import (
    KINDS,
    NO_CONTEXT,
    PLACEMENTS,
    REASONS,
    SCREENS,
    Context,
    Relations,
    emphasis,
    pattern_of,
    woven,
)
from data_contracts.context.kinds import (
    GOES_WITH_CHOSEN,
    GOES_WITH_HELD,
    UPGRADE_OF_CHOSEN,
    UPGRADE_OF_HELD,
    Raises,
    Source,
)
from data_contracts.search import family_of_search
from data_contracts.vocabulary import Channel, Family, Kind, Placement, Screen


def product(product_id: str, family: Family, **more: Sequence[str]) -> Product:
    name = LocalText(en=product_id, ru=product_id)
    return Product(
        product_id=product_id,
        family=family,
        name=name,
        value=1,
        channels=(Channel.WEB,),
        **{k: tuple(v) for k, v in more.items()},
    )


CATALOGUE = Catalogue(
    version="1",
    products=(
        product("auto", Family.LOAN, complements=["casco"]),
        product("casco", Family.INSURANCE),
        product("debit", Family.CARD, complements=["saver", "casco"], upgrades=["gold"]),
        product("gold", Family.CARD, complements=["saver"]),
        product("saver", Family.SAVINGS),
    ),
)
RELATIONS = Relations.of(CATALOGUE)
IDS = [one.product_id for one in CATALOGUE.products]
STRENGTH = {(kind.source, kind.raises): kind.strength for kind in KINDS}


def raised(context: Context, *held: str) -> dict[str, tuple[float, int]]:
    found = emphasis(RELATIONS, [context], np.array([[one in held for one in IDS]]))
    rows = zip(IDS, found.boosts[0].tolist(), found.reasons[0].tolist(), strict=True)
    return {one: (boost, reason) for one, boost, reason in rows if boost or reason}


def test_a_screen_and_a_placement_raise_their_families_without_a_word() -> None:
    cards, checkout = STRENGTH[Source.SCREEN, Raises.FAMILIES], STRENGTH[Source.PLACEMENT, Raises.FAMILIES]
    assert raised(Context(screen=Screen.CARDS)) == {"debit": (cards, 0), "gold": (cards, 0)}
    assert raised(Context(placement=Placement.CHECKOUT)) == {"casco": (checkout, 0)}


@pytest.mark.parametrize("words", ["накопительный счёт", "savings account"])
def test_a_search_raises_its_family_in_both_languages(words: str) -> None:
    strength = STRENGTH[Source.SEARCH, Raises.FAMILIES]
    assert raised(Context(search=family_of_search(words))) == {"saver": (strength, 0)}


def test_what_is_chosen_raises_what_goes_with_it_and_what_is_better_for_that_reason() -> None:
    upsell, cross = STRENGTH[Source.BASKET, Raises.UPGRADES], STRENGTH[Source.BASKET, Raises.COMPLEMENTS]
    assert raised(Context(basket_product="debit")) == {
        "gold": (upsell, UPGRADE_OF_CHOSEN),
        "saver": (cross, GOES_WITH_CHOSEN),
        "casco": (cross, GOES_WITH_CHOSEN),
    }
    once = STRENGTH[Source.CART, Raises.COMPLEMENTS]
    assert raised(Context(cart=("auto", "debit", "nobody knows it"))) == {
        "casco": (once, GOES_WITH_CHOSEN),  # though two of the cart call for it
        "saver": (once, GOES_WITH_CHOSEN),
    }


def test_what_is_held_raises_too_and_several_sources_add_up_under_the_first_ones_reason() -> None:
    held = STRENGTH[Source.HELD, Raises.COMPLEMENTS]
    assert raised(NO_CONTEXT, "debit") == {
        "gold": (STRENGTH[Source.HELD, Raises.UPGRADES], UPGRADE_OF_HELD),
        "saver": (held, GOES_WITH_HELD),
        "casco": (held, GOES_WITH_HELD),
    }
    both = raised(Context(cart=("gold",)), "debit")["saver"]
    assert both == (pytest.approx(held + STRENGTH[Source.CART, Raises.COMPLEMENTS]), GOES_WITH_CHOSEN)


def test_the_tables_cover_every_word_and_every_reason_is_worded() -> None:
    assert set(SCREENS) == set(Screen)
    assert set(PLACEMENTS) == set(Placement)
    assert {kind.reason for kind in KINDS} - {0} == {reason.code for reason in REASONS}


ids = st.sampled_from([*IDS, "unknown"])
contexts = st.builds(
    Context,
    screen=st.none() | st.sampled_from(Screen),
    placement=st.none() | st.sampled_from(Placement),
    search=st.none() | st.sampled_from(Family),
    cart=st.lists(ids, max_size=3).map(tuple),
    basket_product=st.none() | ids,
)


@settings(deadline=None)
@given(st.lists(st.tuples(contexts, st.lists(st.booleans(), min_size=5, max_size=5)), min_size=1, max_size=4))
def test_a_question_is_read_the_same_alone_and_among_others(asked: list[tuple[Context, list[bool]]]) -> None:
    together = emphasis(RELATIONS, [context for context, _ in asked], np.array([held for _, held in asked]))
    for row, (context, held) in enumerate(asked):
        alone = emphasis(RELATIONS, [context], np.array([held]))
        assert (together.boosts[row] == alone.boosts[0]).all()
        assert (together.reasons[row] == alone.reasons[0]).all()


@given(
    st.sampled_from([pattern_of(placement) for placement in Placement]),
    st.integers(0, 8),
    st.integers(0, 8),
    st.integers(1, 12),
)
def test_mixed_lists_keep_their_orders_and_leave_no_place_empty(
    pattern: tuple[Kind, ...], products: int, offers: int, most: int
) -> None:
    lists = {
        Kind.PRODUCT: [(Kind.PRODUCT, n) for n in range(products)],
        Kind.OFFER: [(Kind.OFFER, n) for n in range(offers)],
    }
    mixed = woven(pattern, lists, most)
    assert len(mixed) == min(most, sum(len(lists[kind]) for kind in set(pattern)))
    for kind in Kind:
        of_kind = [one for one in mixed if one[0] is kind]
        assert of_kind == lists[kind][: len(of_kind)]
    turns = [pattern[place % len(pattern)] for place in range(len(mixed))]
    both_left = min((place for place, one in enumerate(mixed) if one[0] is not turns[place]), default=len(mixed))
    if both_left < len(mixed):
        ended = turns[both_left]
        assert sum(one[0] is ended for one in mixed) == len(lists[ended])
