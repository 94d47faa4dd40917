"""Secrets of Lockbox by the cloud's own SDK: found, changed without a restart, kept while it is away, never told."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from dagster_project.alerts import alerts_of
from data_contracts.errors import InputError, UnavailableError
from data_contracts.kafka import client_config
from data_contracts.settings import Settings
from infra.local.clickhouse.running import running_clickhouse
from infra.settings_view import settings_rows
from infra.stack import environment
from sql.client import Address, connected
from tests.cloud.clickhouse_door import Guard, guarded
from tests.cloud.fake_lockbox import Kept, running_lockbox

OLD, NEW = "swordfish-1", "swordfish-2"
NAMED = "lockbox:e6q1#password"


@pytest.fixture
def lockbox(tmp_path: Path) -> Iterator[Kept]:
    with running_lockbox(tmp_path) as kept:
        kept.secrets["e6q1"] = {"password": OLD, "key.2": "other"}
        yield kept


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def test_a_setting_that_names_a_secret_has_its_value_and_follows_its_changes(lockbox: Kept) -> None:
    settings = Settings(**lockbox.settings(kafka_user="recs", kafka_password=NAMED, token="lockbox:e6q1#key.2"))
    assert lockbox.reads == 0  # who uses none needs none
    assert client_config(settings)["sasl.password"] == OLD
    assert settings.token.get_secret_value() == "other"
    assert lockbox.reads == 1
    lockbox.secrets["e6q1"]["password"] = NEW
    until(lambda: client_config(settings)["sasl.password"] == NEW)


@pytest.mark.parametrize(("text", "told"), [(None, "No such file.*unset RECS_LOCKBOX_KEY_FILE"), ("{", "yc iam key")])
def test_a_key_file_that_is_none_is_told_by_its_name_and_what_to_do(
    lockbox: Kept, tmp_path: Path, text: str | None, told: str
) -> None:
    key = tmp_path / "key.json"
    if text is not None:
        key.write_text(text)
    settings = Settings(**lockbox.settings(clickhouse_password=NAMED, lockbox_key_file=key))
    with pytest.raises(InputError, match=f"key.json: .*{told}"):
        settings.clickhouse_password.get_secret_value()


def test_while_lockbox_is_away_the_last_good_value_stays_and_the_log_says_so(
    lockbox: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(**lockbox.settings(clickhouse_password=NAMED))
    assert settings.clickhouse_password.get_secret_value() == OLD
    lockbox.is_away, before = True, lockbox.reads
    with caplog.at_level(logging.DEBUG):
        until(lambda: bool(settings.clickhouse_password.get_secret_value()) and lockbox.reads > before + 1)
        assert settings.clickhouse_password.get_secret_value() == OLD
        until(lambda: "stay in use" in caplog.text)
    assert "secret e6q1: UNAVAILABLE" in caplog.text
    lockbox.secrets["e6q1"]["password"], lockbox.is_away = NEW, False
    until(lambda: settings.clickhouse_password.get_secret_value() == NEW)
    assert OLD not in caplog.text


def test_a_secret_that_was_never_read_is_an_error_that_names_it_and_not_its_value(lockbox: Kept) -> None:
    def value(named: str, **more: str) -> str:
        return Settings(**lockbox.settings(token=named, **more)).token.get_secret_value()

    with pytest.raises(InputError, match="no key passwort"):
        value("lockbox:e6q1#passwort")
    with pytest.raises(InputError, match="secret e6q2: NOT_FOUND: is the id right"):
        value("lockbox:e6q2#password")
    with pytest.raises(InputError, match="PERMISSION_DENIED"):
        value(NAMED, lockbox_token="another")
    lockbox.is_away = True
    with pytest.raises(UnavailableError, match="Lockbox, secret e6q3"):
        value("lockbox:e6q3#password")
    with pytest.raises(ValidationError, match="is named lockbox:ID#key"):
        Settings(token="lockbox:e6q1")


def test_no_value_is_shown_written_or_sent_anywhere(lockbox: Kept, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    settings = Settings(**lockbox.settings(clickhouse_password=NAMED))
    address = Address.of(settings)
    assert address.password == OLD
    shown = [repr(settings), str(settings), settings.model_dump_json(), repr(address), str(settings_rows(settings))]
    assert OLD not in "".join([*shown, *environment(settings).values(), caplog.text])
    alerts_of(settings)
    lockbox.is_away = True
    alerts_of(Settings(**lockbox.settings(token="lockbox:e6q9#x")))  # an alert does not wait for a secret


def test_a_connection_to_the_database_outlives_a_change_of_its_password(lockbox: Kept, tmp_path: Path) -> None:
    guard = Guard(OLD)
    with running_clickhouse(tmp_path / "clickhouse") as engine, guarded(engine, guard) as url:
        given = lockbox.settings(clickhouse_password=NAMED, lockbox_seconds=3600)  # it does not wait for its age
        settings = Settings(clickhouse_url=url, clickhouse_user="recs", clickhouse_database="default", **given)
        with connected(Address.of(settings)) as store:
            assert store.rows("backup/tables") == []
            lockbox.secrets["e6q1"]["password"] = guard.password = NEW

            def answers() -> bool:
                try:
                    return store.rows("backup/tables") == []
                except UnavailableError:
                    return False

            assert not answers()
            until(answers)
    assert guard.refused > 0
