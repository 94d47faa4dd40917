"""What the processes of the embedded stack are told: every setting that was given, and no secret in a new place."""

from pathlib import Path

import pytest

from data_contracts.settings import Settings
from data_contracts.vocabulary import Domain
from infra.stack import environment


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


def test_a_secret_that_was_given_is_not_written_into_the_environment(tmp_path: Path) -> None:
    assert "hunter2" not in environment(Settings(data_dir=tmp_path, clickhouse_password="hunter2")).values()
