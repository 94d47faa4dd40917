"""Dagster's runs and events in PostgreSQL, at RECS_DAGSTER_DATABASE, with the password as it is when it connects."""

from collections.abc import Mapping
from typing import Any

from dagster._serdes import ConfigurableClassData
from dagster_postgres.auth import PgTokenProvider
from dagster_postgres.storage import DagsterPostgresStorage
from pydantic import SecretStr

from data_contracts.errors import InputError
from data_contracts.settings import Settings

# Below a dagster.yaml. It names no password, nor where one is: both are settings of each process.
YAML = """
storage:
  custom:
    module: dagster_project.storage
    class: PostgresStorage
    config: {}
"""


class _Password(PgTokenProvider):
    """Asked at every connection."""

    def __init__(self, secret: SecretStr) -> None:
        super().__init__()
        self._secret = secret

    def _fetch_token(self) -> tuple[str, float]:
        return self._secret.get_secret_value(), 0.0


class PostgresStorage(DagsterPostgresStorage):
    """Made by Dagster from dagster.yaml, in every process that opens the instance."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(
        cls,
        inst_data: ConfigurableClassData | None,
        config_value: Mapping[str, Any],  # noqa: ARG003 - there is nothing in it
    ) -> "PostgresStorage":
        """Raises InputError where the setting is missing."""
        settings = Settings()
        if settings.dagster_database is None:
            raise InputError("dagster.yaml wants PostgreSQL: set RECS_DAGSTER_DATABASE to postgresql://user@host/name")
        password = _Password(settings.dagster_database_password)
        return cls(settings.dagster_database, inst_data=inst_data, token_provider=password)
