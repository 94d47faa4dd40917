"""What a request to the embedded ClickHouse means, without sockets or an engine."""

import zlib
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.local.clickhouse.engine import EngineError, Insert, Query
from infra.local.clickhouse.protocol import Request, failed, parsed


def parse(
    fields: dict[str, str], body: bytes = b"", *, method: str = "POST", headers: dict[str, str] | None = None
) -> Query:
    return parsed(Request(method=method, query_string=urlencode(fields), headers=headers or {}, body=body))


def test_parameters_settings_and_transport_are_told_apart() -> None:
    query = parse(
        {
            "query": "SELECT 1",
            "param_x": "a'b\\n",
            "max_threads": "1",
            "database": "recs",
            "session_id": "s",
            "query_id": "q",
        }
    )
    assert (query.sql, query.params, query.settings) == (b"SELECT 1", {"x": "a'b\\n"}, {"max_threads": "1"})
    assert (query.database, query.session, query.read_only, query.insert) == ("recs", "s", False, None)
    assert parse({"query": "SELECT 1"}, method="GET").read_only


def test_statement_and_data_may_come_together_or_apart() -> None:
    whole = parse({}, b"INSERT INTO t (a, b) FORMAT CSV\n1,2\n")
    apart = parse({"query": "INSERT INTO t (a, b) FORMAT CSV\n"}, b"1,2\n")
    assert whole.insert == apart.insert == Insert(b"INSERT INTO t (a, b) ", b"", b"CSV", b"1,2\n")


@settings(deadline=None)
@given(st.binary())
def test_data_are_never_looked_into(data: bytes) -> None:
    insert = parse({"query": "INSERT INTO t FORMAT Native"}, data).insert
    assert insert is not None and insert.data == data


@pytest.mark.parametrize(
    ("sql", "head", "clause"),
    [
        (b"insert into t format CSV\n1", b"insert into t ", b""),
        (b"-- FORMAT JSON\nINSERT INTO t FORMAT CSV\n1", b"-- FORMAT JSON\nINSERT INTO t ", b""),
        (b"/* it's */ INSERT INTO t FORMAT CSV\n1", b"/* it's */ INSERT INTO t ", b""),
        (b"INSERT INTO `a FORMAT b` FORMAT CSV\n1", b"INSERT INTO `a FORMAT b` ", b""),
        (b"INSERT INTO t SETTINGS a = 'x FORMAT y' FORMAT CSV\r\n1", b"INSERT INTO t ", b"SETTINGS a = 'x FORMAT y' "),
    ],
)
def test_words_in_quotes_and_comments_are_no_keywords(sql: bytes, head: bytes, clause: bytes) -> None:
    assert parse({}, sql).insert == Insert(head, clause, b"CSV", b"1")


@pytest.mark.parametrize(
    "sql",
    [
        b"INSERT INTO t VALUES (1, ' FORMAT CSV\n')",
        b"INSERT INTO t SELECT 1 FORMAT Null",
        b"SELECT 'INSERT INTO t FORMAT CSV\n'",
        b"CREATE TABLE t AS SELECT 1",
        b"",
    ],
)
def test_what_brings_no_formatted_data_goes_to_the_engine_as_it_is(sql: bytes) -> None:
    query = parse({}, sql)
    assert (query.sql, query.insert) == (sql, None)


def test_what_the_server_does_not_do_is_said() -> None:
    with pytest.raises(EngineError, match=r"input\(\)"):
        parse({"query": "INSERT INTO t SELECT a FROM input('a UInt8') FORMAT CSV"}, b"1")
    with pytest.raises(EngineError, match="Content-Encoding snappy"):
        parse({}, b"SELECT 1", headers={"content-encoding": "snappy"})
    form = b'--b\r\nContent-Disposition: form-data; name="t"; filename="t"\r\n\r\n1\r\n--b--\r\n'
    with pytest.raises(EngineError, match="External tables"):
        parse({}, form, headers={"content-type": "multipart/form-data; boundary=b"})


def test_a_body_may_be_deflated() -> None:
    assert parse({}, zlib.compress(b"SELECT 1"), headers={"content-encoding": "deflate"}).sql == b"SELECT 1"


def test_an_error_nobody_mapped_is_the_server_s_own() -> None:
    response = failed(EngineError(1002, "DB::Exception: odd"))
    assert (response.status, response.body) == (500, b"Code: 1002. DB::Exception: odd\n")
