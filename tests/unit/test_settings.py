"""Settings come from one prefix, name their source, and never show a secret."""

import pytest
from pydantic import ValidationError

from data_contracts.settings import Settings
from data_contracts.vocabulary import Domain
from infra.settings_view import settings_rows


def _row(settings: Settings, name: str, environment: dict[str, str]) -> dict[str, str]:
    return next(row for row in settings_rows(settings, environment=environment) if row["setting"] == name)


def test_domains_are_read_from_plain_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECS_OFFER_DOMAINS", "marketplace, offers")
    assert Settings().offer_domains == (Domain.MARKETPLACE, Domain.OFFERS)


def test_an_unknown_domain_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECS_OFFER_DOMAINS", "casino")
    with pytest.raises(ValidationError, match="offer_domains"):
        Settings()


def test_a_secret_is_masked_wherever_settings_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECS_CLICKHOUSE_PASSWORD", "swordfish")
    settings = Settings()
    assert "swordfish" not in str(settings_rows(settings)) + repr(settings) + str(settings)


def test_each_setting_names_where_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECS_SEED", raising=False)
    monkeypatch.setenv("RECS_API_PORT", "9999")
    settings = Settings()
    environment = {"RECS_API_PORT": "9999"}
    assert _row(settings, "RECS_API_PORT", environment)["source"] == "environment RECS_API_PORT"
    assert _row(settings, "RECS_SEED", environment)["source"] == "default"


def test_clickhouse_may_be_named_by_its_usual_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECS_CLICKHOUSE_URL", raising=False)
    monkeypatch.setenv("CLICKHOUSE_URL", "http://db.example:8123")
    assert Settings().clickhouse_url == "http://db.example:8123"
