"""The arithmetic of recs plan."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.errors import InputError
from infra.plan import bench_results, read_prices
from infra.sizing import (
    SCORED_CANDIDATES,
    WORLD_EVENTS_PER_DAY,
    WORLD_PRODUCTS,
    Assumptions,
    Load,
    Units,
    core_seconds,
    lake_bytes,
    need_of,
    skew_of,
    units_of,
)

UNITS = Units(night_user=0.008, ranked_row=3e-6, load_million=2.0, verify_million=1.0, worker_mb=360)
PRICES = {"core_hour": 1.0, "gb_memory_hour": 0.0, "ssd_gb_month": 0.0, "storage_gb_month": 0.0}
sizes = st.builds(
    Load,
    users=st.floats(1e3, 1e6),
    items=st.integers(1, 500),
    offers=st.integers(0, 300_000),
    events_per_day=st.floats(0, 1e8),
)


def test_the_benchs_own_night_costs_what_the_bench_measured() -> None:
    world = Load(1e6, WORLD_PRODUCTS, 0, WORLD_EVENTS_PER_DAY * 1e6)
    assert sum(core_seconds(world, UNITS).values()) == pytest.approx(UNITS.night_user * 1e6)


def test_units_come_from_the_results_that_are_kept() -> None:
    units = units_of(bench_results())
    assert 0.001 < units.night_user < 0.1
    assert units.ranked_row * (WORLD_PRODUCTS + SCORED_CANDIDATES) < units.night_user, "ranking is a part of a night"


@given(load=sizes, factor=st.floats(1, 10))
def test_more_of_anything_never_costs_less(load: Load, factor: float) -> None:
    before = sum(core_seconds(load, UNITS).values())
    for more in (
        replace(load, users=load.users * factor),
        replace(load, events_per_day=load.events_per_day * factor),
        replace(load, offers=int(load.offers * factor)),
        replace(load, items=int(load.items * factor)),
    ):
        assert sum(core_seconds(more, UNITS).values()) >= before * 0.999_999


@given(load=sizes, hours=st.floats(1, 12))
def test_a_night_ends_within_its_hours_and_partitions_fill_whole_waves(load: Load, hours: float) -> None:
    need = need_of(load, UNITS, replace(Assumptions(), hours=hours), PRICES)
    assert need.hours <= hours * 1.000_001
    assert need.partitions % need.cores == 0
    assert need.partitions >= 3 * need.cores
    assert need.skew >= 1


def test_a_cluster_costs_its_cores_by_the_hour() -> None:
    need = need_of(Load(1e6, 60, 0, 3e6), UNITS, Assumptions(), PRICES)
    assert need.monthly["cluster"] == pytest.approx(30 * need.hours * need.cores)
    assert need.monthly["lake in Object Storage"] == 0


def test_the_lake_holds_every_event_twice_and_the_snapshots_that_are_kept() -> None:
    only_events = lake_bytes(Load(0, 1, 0, 1e6, history_days=10), Assumptions())
    assert only_events == pytest.approx(1e6 * 10 * 13.1 * 2)
    few, many = (lake_bytes(Load(1e6, 1, 0, 0), replace(Assumptions(), snapshots_kept=kept)) for kept in (1, 11))
    assert many - few == pytest.approx(10 * (157e6 + 100_000 * 10))  # lists, states and the best users of the product


def test_few_large_partitions_are_more_even_than_many_small_ones() -> None:
    load = Load(300_000, 1, 0, 0)
    assert 1 < skew_of(load, 10, seed=1) < skew_of(load, 1_000, seed=1)


@pytest.mark.parametrize("text", ["", "- 1", "core_hour: dear", "{", "core_hour: 1\ngb_memory_hour: 1"])
def test_a_file_that_is_no_price_list_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"prices\.yaml"):
        read_prices(path)
