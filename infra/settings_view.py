"""What `recs settings` shows: every setting, its value with secrets masked, where it came from, what it is for."""

import os
from collections.abc import Mapping
from typing import Any

from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from data_contracts.settings import Settings


def settings_rows(settings: Settings, *, environment: Mapping[str, str] = os.environ) -> list[dict[str, Any]]:
    """One row a setting: variable, value, source (environment, .env, default), description."""
    rows = []
    for name, field in Settings.model_fields.items():
        variables = _variables(name, field)
        rows.append(
            {
                "setting": variables[0],
                "value": _plain(getattr(settings, name)),
                "source": _source(name, variables, settings, environment),
                "meaning": field.description,
            }
        )
    return rows


def _variables(name: str, field: FieldInfo) -> list[str]:
    if isinstance(field.validation_alias, AliasChoices):
        return [str(choice) for choice in field.validation_alias.choices]
    return [f"RECS_{name.upper()}"]


def _source(name: str, variables: list[str], settings: Settings, environment: Mapping[str, str]) -> str:
    if name not in settings.model_fields_set:
        return "default"
    upper = {variable.upper() for variable in environment}
    return next((f"environment {variable}" for variable in variables if variable in upper), ".env")


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    return "" if value is None else str(value)
