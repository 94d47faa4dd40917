"""What the processes of the embedded stack are told: every setting that was given, and no secret in a new place."""

from pathlib import Path
from typing import Any

import pytest

from data_contracts.errors import InputError
from data_contracts.settings import Settings
from data_contracts.vocabulary import Domain
from infra.stack import Service, environment, services


def test_a_process_of_the_stack_sees_the_settings_that_flags_gave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Settings(
        data_dir=tmp_path,
        tecd="/w/tecd",
        reference="/w/reference",
        product_horizon_days=7,
        offer_domains=(Domain.MARKETPLACE, Domain.RETAIL),
    )
    for name, value in environment(given).items():
        monkeypatch.setenv(name, value)
    seen = Settings()
    assert (seen.tecd, seen.dwh, seen.reference) == ("/w/tecd", None, "/w/reference")
    assert (seen.product_horizon_days, seen.offer_domains) == (7, (Domain.MARKETPLACE, Domain.RETAIL))
    assert seen.lake_uri == given.lake_uri


def test_a_broker_is_started_only_where_the_setting_points_to_this_machine(tmp_path: Path) -> None:
    here = Settings(data_dir=tmp_path, kafka_bootstrap="localhost:9392")
    (kafka,) = [one for one in services(here, with_dagster=False, with_kafka=True) if one.name == "kafka"]
    assert (kafka.port, kafka.ready_url) == (9392, "tcp://127.0.0.1:9392")
    names = [one.name for one in services(here, with_dagster=False, with_overlay=True)]
    assert "overlay" in names
    assert "kafka" not in names
    elsewhere = Settings(data_dir=tmp_path, kafka_bootstrap="broker.bank:9092")
    with pytest.raises(InputError, match=r"not at broker\.bank:9092"):
        services(elsewhere, with_dagster=False, with_kafka=True)


def test_the_api_is_started_with_its_own_settings_and_waited_for_with_tls_as_without(tmp_path: Path) -> None:
    def api(**given: Any) -> Service:
        wanted = services(Settings(data_dir=tmp_path, api_port=8123, **given), with_dagster=False)
        return next(one for one in wanted if one.name == "api")

    assert list(api().command[1:]) == ["-m", "api"]
    assert api().ready_url == "http://127.0.0.1:8123/healthz"
    assert api(tls_certificate="server.pem").ready_url == "tcp://127.0.0.1:8123"


def test_a_secret_that_was_given_is_not_written_into_the_environment(tmp_path: Path) -> None:
    assert "hunter2" not in environment(Settings(data_dir=tmp_path, clickhouse_password="hunter2")).values()
