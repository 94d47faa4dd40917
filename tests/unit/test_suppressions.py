"""Suppressions as rows and files: what is taken, what is refused and why, and what events they are."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.errors import InputError
from data_contracts.events.codec import Codec
from data_contracts.events.registry import KeptSchemas
from data_contracts.overlay import row_of
from data_contracts.overlay.kinds import SUPPRESSIONS
from data_contracts.overlay.rows import FOR_GOOD, micros
from data_contracts.suppressions import RefusedRow, Suppression, Terms, events_of, lifts_of, read_csv
from data_contracts.vocabulary import Channel

NOW = datetime(2026, 3, 16, 9, 0, tzinfo=UTC)
HEADER = "user_id,kind,channel,product_id,family,reason,until"


def test_good_rows_of_a_file_are_taken_and_bad_ones_told_by_line() -> None:
    rows = [
        "\ufeff" + HEADER,
        "1,complaint,crm,,,call 481,",
        "x,complaint,crm,,,,",
        "2,opt_out,pager,,,,",
        '3,opt_out,,,,"on two\nlines",2026-04-01T00:00:00+03:00',
        "4,other,,card_gold,card,,",
        "5,other,,,,,2020-01-01T00:00:00Z",
        "6,other,,,,,,more",
        "9223372036854775808,other",
        "7,erasure_request",
    ]
    file = read_csv("\n".join(rows).splitlines(keepends=True), now=NOW)
    assert [(line, one.user_id) for line, one in file.taken] == [(2, 1), (6, 3), (11, 7)]
    told = {one.line: one.reason for one in file.refused}
    assert list(told) == [3, 4, 7, 8, 9, 10]
    assert told[3].startswith("user_id: ")
    assert told[4].startswith("channel: ")
    assert told[7] == "family: name a product or a family, not both"
    assert told[8] == "until: lies in the past"
    assert "more fields" in told[9]
    assert told[10].startswith("user_id: ")


def test_refused_rows_come_back_as_they_were_no_formula_among_them_and_are_taken_once_they_are_mended() -> None:
    rows = [
        "user_id,kind,product_id,reason\n",
        "1,complaint,,\n",
        '=2,opt_out,,"=SUM(A1), said\n',
        'Anna"\n',
        "3,other,,-5,more\n",
        "4,opt_out\n",
        "5,oops\rlost\n",
        "6,other,no such,\n",
    ]
    file = read_csv(rows, now=NOW).refusing([RefusedRow(8, "product_id: nobody knows it")])
    told = file.refused_csv()
    _, *refused = csv.reader(io.StringIO(told, newline=""))
    assert [(row[0], row[2:]) for row in refused] == [
        ("4", ["'=2", "opt_out", "", "'=SUM(A1), said\nAnna"]),
        ("5", ["3", "other", "", "'-5", "more"]),
        ("7", ["5,oops\rlost"]),
        ("8", ["6", "other", "no such", ""]),
    ]
    assert all(row[1] for row in refused)
    mended = told.replace("'=2", "2").replace(",more", "").replace('"5,oops\rlost"', "5,other").replace("no such", "")
    again = read_csv(io.StringIO(mended, newline=""), now=NOW)
    assert [(one.user_id, one.terms.reason) for _, one in again.taken] == [
        (2, "=SUM(A1), said\nAnna"),
        (3, "-5"),
        (5, ""),
        (6, ""),
    ]
    assert not again.refused
    untouched = read_csv(io.StringIO(told, newline=""), now=NOW)
    assert [untouched.rows[one.line][0] for one in untouched.refused] == [file.rows[line][0] for line in (4, 5, 7)]


@pytest.mark.parametrize("header", ["", "user_id", "user_id,kind,phone"])
def test_a_file_without_a_usable_header_is_refused_whole(header: str) -> None:
    with pytest.raises(InputError, match="line 1"):
        read_csv([header + "\n", "1,other,2\n"], now=NOW)


@given(st.lists(st.text(max_size=30), max_size=8))
def test_no_text_breaks_the_reading_of_a_file(lines: list[str]) -> None:
    file = read_csv([HEADER + "\n", *(line + "\n" for line in lines)], now=NOW)
    assert len(file.taken) + len(file.refused) <= len("\n".join(lines)) + len(lines)


@pytest.mark.parametrize("about", [{}, {"product_id": "card_gold"}, {"family": "card"}])
def test_a_suppression_is_an_event_a_channel_that_lasts_until_it_is_over(about: dict[str, str]) -> None:
    until = NOW + timedelta(days=3)
    terms = Terms.model_validate({"kind": "other", "until": until, **about})
    events = list(events_of(Suppression(7, terms), name="a/0", at=NOW))
    assert [event["channel"] for event in events] == list(Channel)
    codec = Codec(KeptSchemas())
    for event in events:
        row = row_of(
            SUPPRESSIONS, codec.decode(SUPPRESSIONS, codec.encode(SUPPRESSIONS, event)), arrived=micros(NOW), skew=0
        )
        assert row is not None
        assert (row.item_id, row.family) == (about.get("product_id", ""), about.get("family", ""))
        assert row.expires_at == micros(until) // 1_000_000
    for event, lifted in zip(lifts_of(Suppression(7, terms), name="a/0", at=NOW), events, strict=True):
        row = row_of(
            SUPPRESSIONS, codec.decode(SUPPRESSIONS, codec.encode(SUPPRESSIONS, event)), arrived=micros(NOW), skew=0
        )
        assert row is not None
        assert (row.item_id, row.channel, row.expires_at) == (lifted["event_id"], lifted["channel"], FOR_GOOD)
    (good, *_) = events_of(Suppression(7, Terms.model_validate({"kind": "opt_out"})), name="a/0", at=NOW)
    assert row_of(SUPPRESSIONS, good, arrived=micros(NOW), skew=0).expires_at == FOR_GOOD  # type: ignore[union-attr]
