"""The parameters of a night: what a date means, and what a snapshot is called."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from data_contracts.errors import InputError
from data_contracts.night import NightParams, Sources, parse_snapshot_id

_SOURCES = Sources(tecd="/data/tecd")


def _params(as_of: date, attempt: int = 1) -> NightParams:
    return NightParams(as_of=as_of, attempt=attempt, lake="/lake", sources=_SOURCES)


@given(as_of=st.dates(min_value=date(2000, 1, 1), max_value=date(2100, 1, 1)), attempt=st.integers(1, 10**6))
def test_a_snapshot_id_reads_back_to_its_date_and_attempt(as_of: date, attempt: int) -> None:
    assert parse_snapshot_id(_params(as_of, attempt).snapshot_id) == (as_of, attempt)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-03-15",
        "2026-03-15.0",
        "2026-3-15.1",
        "2026-13-15.1",
        "2026-02-30.1",
        "२०२६-03-15.1",
        "2026-03-15.1\n",
        f"2026-03-15.{'1' * 5_000}",
        "2026-03-15.1; drop table",
    ],
)
def test_what_is_not_a_snapshot_id_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="not a snapshot id"):
        parse_snapshot_id(text)


def test_the_cut_off_is_midnight_in_the_banks_time_zone() -> None:
    assert _params(date(2026, 3, 16)).cut_off.astimezone(UTC) == datetime(2026, 3, 15, 21, tzinfo=UTC)


@given(number=st.integers(0, 5000))
def test_t_ecd_days_and_dates_are_the_same_thing(number: int) -> None:
    params = _params(date(2026, 3, 16))
    assert params.tecd_day(params.tecd_date(number)) == number


def test_a_night_without_any_source_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least one source"):
        Sources()


def test_parameters_survive_the_way_to_a_job() -> None:
    params = _params(date(2026, 3, 16))
    assert NightParams.model_validate_json(params.model_dump_json()) == params
