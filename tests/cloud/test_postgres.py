"""Dagster and MLflow on a real PostgreSQL, as in production; a changed password needs no restart."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from pydantic import ValidationError

from data_contracts.settings import Settings
from infra.night import dagster_home
from tests.cloud.fake_lockbox import running_lockbox
from tests.cloud.postgres import OWNER, PASSWORD, Postgres, running_postgres
from tests.integration.test_model_registry import Nights

NEW = "swordfish-2"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@dg.op
def one() -> int:
    return 1


@dg.job
def night() -> None:
    one()


def test_runs_are_kept_in_the_database_and_a_changed_password_is_used_at_the_next_connection(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.run("CREATE DATABASE dagster")
    with running_lockbox(tmp_path) as lockbox:
        lockbox.secrets["e6q1"] = {"dagster": PASSWORD}
        given = lockbox.settings(
            data_dir=tmp_path / "data",
            dagster_database=postgres.url("dagster").replace("+psycopg2", ""),
            dagster_database_password="lockbox:e6q1#dagster",
        )
        for name, value in given.items():
            monkeypatch.setenv(f"RECS_{name.upper()}", str(value))
        home = dagster_home(Settings())
        assert PASSWORD not in (home / "dagster.yaml").read_text()
        with dg.DagsterInstance.from_config(str(home)) as instance:
            run_id = night.execute_in_process(instance=instance).run_id
            secret = Settings().dagster_database_password
            postgres.run(f"ALTER ROLE {OWNER} PASSWORD '{NEW}'")
            try:
                lockbox.secrets["e6q1"]["dagster"] = NEW
                while secret.get_secret_value() != NEW:
                    pass
                assert instance.get_run_by_id(run_id) is not None
            finally:
                postgres.run(f"ALTER ROLE {OWNER} PASSWORD '{PASSWORD}'", password=NEW)
    assert postgres.run("SELECT status FROM runs", database="dagster") == [("SUCCESS",)]
    assert not list((tmp_path / "data").rglob("*.db"))


def test_models_are_registered_in_the_database_and_their_files_stay_in_the_lake(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.run("CREATE DATABASE mlflow")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    nights = Nights(tmp_path, postgres.url("mlflow"))
    nights.train(b"one", better=True)
    nights.train(b"two", better=True)
    assert nights.numbers() == (2, 0)
    assert list((tmp_path / "lake" / "mlflow").rglob("*.json"))


def test_an_address_with_a_password_is_refused_and_not_repeated() -> None:
    for name in ("dagster_database", "mlflow_url"):
        with pytest.raises(ValidationError, match="an address holds no password") as refused:
            Settings(**{name: "postgresql://recs:hunter2@db/mlflow"})
        assert "hunter2" not in str(refused.value.errors(include_input=False))
