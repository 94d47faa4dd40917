import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from data_contracts.scores import LOGIT_ERROR, LOGIT_LIMIT, dequantise, quantise

probabilities = hnp.arrays(np.float64, st.integers(1, 50), elements=st.floats(0, 1))


def logit(p: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.clip(np.log(p) - np.log1p(-p), -LOGIT_LIMIT, LOGIT_LIMIT)


@given(probabilities)
def test_a_stored_score_is_within_half_a_step_of_its_logit(p: np.ndarray) -> None:
    assert np.all(np.abs(logit(dequantise(quantise(p))) - logit(p)) <= LOGIT_ERROR * (1 + 1e-6))


@given(st.lists(st.floats(1e-5, 1 - 1e-5), min_size=1))
def test_the_relative_error_of_a_probability_is_at_most_two_hundredths_of_a_percent(values: list[float]) -> None:
    p = np.array(values)
    assert np.all(np.abs(dequantise(quantise(p)) / p - 1) <= 2e-4)


@given(probabilities)
def test_order_is_kept(p: np.ndarray) -> None:
    in_order = np.sort(p)
    assert np.all(np.diff(quantise(in_order).astype(int)) >= 0)
    assert np.all(np.diff(dequantise(quantise(in_order))) >= 0)


def test_every_stored_score_survives_the_way_there_and_back() -> None:
    every = np.arange(65_536, dtype=np.uint16)
    assert np.array_equal(quantise(dequantise(every)), every)


def test_certainties_take_the_ends_of_the_scale() -> None:
    assert quantise([0.0, 0.5, 1.0]).tolist() == [0, 32_768, 65_535]


def test_shape_is_kept_and_float32_is_welcome() -> None:
    p = np.full((3, 4), 0.25, dtype=np.float32)
    assert quantise(p).shape == (3, 4)
    assert quantise(p).dtype == np.uint16
    assert quantise([]).size == 0


@pytest.mark.parametrize("bad", [np.nan, -0.01, 1.01, np.inf])
def test_what_is_no_probability_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="probabilities"):
        quantise([0.5, bad])
