"""A figure says whether it met its goal, on its value or on its ratio to the reference."""

import pytest

from data_contracts.errors import InputError
from infra.bench.figure import Figure
from infra.bench.registry import BENCHES, chosen


def test_lower_is_better_for_a_time() -> None:
    assert Figure("load", 9.0, "s", goal=10).met
    assert not Figure("load", 11.0, "s", goal=10).met


def test_a_ratio_goal_compares_with_the_reference_of_the_same_run() -> None:
    figure = Figure("rate", 80.0, "users/s", reference=100.0, goal=0.9, better="higher", goal_on="ratio")
    assert figure.ratio == pytest.approx(0.8)
    assert figure.met is False


def test_without_a_goal_nothing_is_met_or_missed() -> None:
    assert Figure("rate", 80.0, "users/s").met is None


def test_an_unknown_benchmark_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match="score"):
        chosen(["sprint"])


def test_named_benchmarks_are_run_whether_stale_or_not() -> None:
    assert chosen(["score"]) == [BENCHES["score"]]
