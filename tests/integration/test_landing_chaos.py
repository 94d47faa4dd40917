"""None lost, none doubled, whenever consumers are killed. The long form is `make chaos`."""

from pathlib import Path

import pytest

from infra.local.kafka.running import running_kafka
from tests.integration.landing_chaos import survive


def test_consumers_killed_three_times_among_6k_events_lose_and_double_none(tmp_path: Path) -> None:
    with running_kafka(tmp_path / "kafka") as address:
        assert survive(address, tmp_path, events=6_000, kills=3, seed=5, pause=(0.5, 2.0)) > 0


@pytest.mark.chaos
def test_consumers_killed_thirty_times_among_200k_events_lose_and_double_none(tmp_path: Path) -> None:
    with running_kafka(tmp_path / "kafka") as address:
        assert survive(address, tmp_path, events=200_000, kills=30, seed=7, pause=(0.5, 6.0)) > 0
