"""What is expected of a product, from its own past as far as it has one, and from products like it otherwise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.catalogue import Eligibility, LocalText, Product
from data_contracts.vocabulary import Channel, Family
from spark_jobs.ranking.product_prior import expected_openings, likeness


def _product(name: str, family: Family, value: float, *, bounds: int = 0) -> Product:
    asked = dict(list({"min_age": 18, "max_age": 70, "min_income_band": 1}.items())[:bounds])
    return Product(
        product_id=name,
        family=family,
        name=LocalText(en=name, ru=name),
        value=value,
        channels=(Channel.MOBILE,),
        eligibility=Eligibility.model_validate(asked),
    )


PRODUCTS = (
    _product("card_a", Family.CARD, 1000),
    _product("card_b", Family.CARD, 5000, bounds=2),
    _product("card_new", Family.CARD, 5100, bounds=2),
    _product("loan_a", Family.LOAN, 5000, bounds=2),
)
LIKE = likeness(PRODUCTS)
NEW = 2
ON_SALE = np.array([1.0, 1.0, 0.0, 1.0])


def test_a_product_is_like_those_of_its_family_and_most_like_those_on_its_terms() -> None:
    assert LIKE[NEW, 1] > 0.9 > LIKE[NEW, 0] > 0
    assert LIKE[NEW, 3] == LIKE[NEW, NEW] == 0


def test_a_new_product_is_expected_to_do_as_those_like_it_do() -> None:
    expected = expected_openings(np.array([400.0, 40.0, 0.0, 2.0]), ON_SALE, LIKE)
    assert 40 < expected[NEW] < 250
    assert expected[NEW] > 10 * expected[3]


def test_a_product_that_was_on_sale_and_not_opened_is_expected_less_than_a_new_one() -> None:
    counts = np.array([50.0, 40.0, 0.0, 30.0])
    new, shelved = (expected_openings(counts, np.array([1.0, 1.0, share, 1.0]), LIKE)[NEW] for share in (0.0, 1.0))
    assert shelved < 0.2 * new


@given(
    counts=st.lists(st.integers(0, 5000), min_size=4, max_size=4),
    shares=st.lists(st.floats(0, 1), min_size=4, max_size=4),
)
def test_whatever_was_counted_something_finite_is_expected_of_every_product(
    counts: list[int], shares: list[float]
) -> None:
    expected = expected_openings(np.array(counts, np.float64), np.array(shares), LIKE)
    assert np.isfinite(expected).all()
    assert (expected > 0).all()


def test_who_has_a_long_past_keeps_what_it_earned() -> None:
    counts = np.array([2000.0, 900.0, 300.0, 3.0])
    assert expected_openings(counts, np.ones(4), LIKE) == pytest.approx(counts, rel=0.02, abs=3)
