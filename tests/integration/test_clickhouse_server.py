"""The embedded ClickHouse as a process: what clickhouse-connect and curl see of it."""

import asyncio
import contextlib
import gzip
import http.client
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import clickhouse_connect
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from data_contracts.errors import BusyError, UnavailableError
from infra.local.clickhouse.running import running_clickhouse
from sql.client import Address, connected, connected_async
from sql.migrate import migrate


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_clickhouse(tmp_path_factory.mktemp("embedded")) as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False) as client:
        client.command("CREATE OR REPLACE TABLE pairs (id UInt64, name String) ENGINE = MergeTree ORDER BY id")
        yield client


def request(
    url: str, method: str, fields: dict[str, str], body: object = None, headers: dict[str, str] | None = None
) -> tuple[int, http.client.HTTPMessage, str]:
    connection = http.client.HTTPConnection(str(urlsplit(url).netloc), timeout=30)
    connection.request(method, f"/?{urlencode(fields)}", body, headers or {})
    response = connection.getresponse()
    return response.status, response.headers, response.read().decode()


def test_it_answers_a_ping(client: Client) -> None:
    assert client.ping()


def test_a_get_may_read_but_not_write(url: str) -> None:
    assert request(url, "GET", {"query": "SELECT 1"})[2] == "1\n"
    status, headers, text = request(url, "GET", {"query": "CREATE TABLE no (id UInt8) ENGINE = Memory"})
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (403, "164")
    assert text.startswith("Code: 164. DB::Exception: ")
    assert request(url, "GET", {"query": "SELEC 1"})[1]["X-ClickHouse-Exception-Code"] == "62"


@pytest.mark.parametrize("text", ["it's", "'; DROP TABLE pairs; --", "\\", "tab\tnew\nline\\n", "Ж{x:String}", ""])
def test_a_parameter_is_a_value_whatever_it_holds(client: Client, text: str) -> None:
    result = client.query("SELECT {text:String}, {numbers:Array(UInt64)}", {"text": text, "numbers": [0, 2**64 - 1]})
    assert result.result_rows == [(text, [0, 2**64 - 1])]
    assert client.command("SELECT count() FROM pairs") == 0


def test_a_parameter_of_the_wrong_type_is_refused_with_its_code(client: Client) -> None:
    with pytest.raises(DatabaseError) as refused:
        client.query("SELECT {number:UInt64}", {"number": "1; DROP TABLE pairs"})
    assert refused.value.code == 457


def test_parameters_too_long_for_a_url_travel_as_a_form(client: Client) -> None:
    numbers = list(range(50_000))
    assert client.query("SELECT arraySum({numbers:Array(UInt64)})", {"numbers": numbers}).first_row == (sum(numbers),)


@pytest.mark.parametrize("codec", [False, "lz4", "zstd", "gzip"])
def test_native_inserts_arrive_in_every_encoding(url: str, client: Client, codec: bool | str) -> None:
    with clickhouse_connect.get_client(dsn=url, compress=codec) as writer:
        summary = writer.insert("pairs", [[number, f"имя {number}"] for number in range(5_000)], ["id", "name"])
    assert summary.written_rows == 5_000
    assert client.query("SELECT count(), max(name) FROM pairs").first_row == (5_000, "имя 999")


def test_parquet_goes_in_and_comes_out(client: Client) -> None:
    table = pa.table({"id": pa.array([1, 2], pa.uint64()), "name": ["one", "two"]})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    client.raw_insert("pairs", insert_block=sink.getvalue().to_pybytes(), fmt="Parquet")
    out = client.raw_query("SELECT * FROM pairs ORDER BY id", fmt="Parquet")
    assert pq.read_table(pa.BufferReader(out)).to_pydict() == table.to_pydict()
    assert client.query_arrow("SELECT * FROM pairs ORDER BY id", use_strings=True).to_pydict() == table.to_pydict()


def test_an_insert_may_stream_in_chunks_and_compressed(url: str, client: Client) -> None:
    lines = [f"{number},n{number}\n".encode() for number in range(1_000)]
    assert request(url, "POST", {"query": "INSERT INTO pairs FORMAT CSV"}, iter(lines))[0] == 200
    packed = gzip.compress(b"".join(lines))
    query = {"query": "INSERT INTO pairs FORMAT CSV"}
    assert request(url, "POST", query, packed, {"Content-Encoding": "gzip"})[0] == 200
    assert client.command("SELECT count() FROM pairs") == 2_000


def test_broken_data_are_refused_and_nothing_is_inserted(url: str, client: Client) -> None:
    query = {"query": "INSERT INTO pairs FORMAT Parquet"}
    status, headers, _ = request(url, "POST", query, b"PAR1 this is no Parquet")
    assert status >= 400 and headers["X-ClickHouse-Exception-Code"]
    assert (
        request(url, "POST", query, b"not gzip", {"Content-Encoding": "gzip"})[1]["X-ClickHouse-Exception-Code"]
        == "271"
    )
    assert client.command("SELECT count() FROM pairs") == 0


@pytest.mark.parametrize(
    ("sql", "status", "code"),
    [
        ("SELECT * FROM nowhere", 404, 60),
        ("SELEC 1", 400, 62),
        ("SELECT no_such_column", 404, 47),
        ("SELECT throwIf(1)", 500, 395),
        ("SELECT 1; SELECT 2", 400, 62),
    ],
)
def test_errors_carry_clickhouse_s_code_and_text(url: str, sql: str, status: int, code: int) -> None:
    got, headers, text = request(url, "POST", {}, sql.encode())
    assert (got, headers["X-ClickHouse-Exception-Code"]) == (status, str(code))
    assert text.startswith(f"Code: {code}. DB::Exception: ")


def test_an_unknown_database_and_an_unknown_setting_are_refused(url: str) -> None:
    assert request(url, "POST", {"database": "nowhere"}, b"SELECT 1")[1]["X-ClickHouse-Exception-Code"] == "81"
    assert request(url, "POST", {"no_such": "1"}, b"SELECT 1")[1]["X-ClickHouse-Exception-Code"] == "115"


def test_settings_hold_for_one_request_only(client: Client) -> None:
    sql = "SELECT getSetting('max_block_size')"
    default = client.query(sql).first_row
    assert client.query(sql, settings={"max_block_size": 17}).first_row == (17,)
    assert client.query(sql).first_row == default
    with pytest.raises(DatabaseError):
        client.query(sql, settings={"max_block_size": 19, "max_threads": "many"})
    client.command("SET max_block_size = 18")
    assert [client.query(sql).first_row for _ in range(5)] == [default] * 5


def test_a_session_remembers_and_refuses_two_queries_at_once(url: str) -> None:
    with clickhouse_connect.get_client(dsn=url, session_id="mine") as client:
        client.command("CREATE TEMPORARY TABLE kept (id UInt8)")
        client.command("INSERT INTO kept VALUES (1)")
        assert client.command("SELECT count() FROM kept") == 1
        sleeper = threading.Thread(target=client.command, args=("SELECT sleep(1)",))
        sleeper.start()
        _wait_for(url, "SELECT count() FROM system.processes WHERE query LIKE 'SELECT sleep%'")
        status, headers, _ = request(url, "POST", {"session_id": "mine"}, b"SELECT 1")
        sleeper.join()
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (500, "373")


def test_queries_run_side_by_side(url: str) -> None:
    async def both() -> int:
        async with await clickhouse_connect.get_async_client(dsn=url, autogenerate_session_id=False) as client:
            sleeping = [asyncio.create_task(client.query("SELECT sleep(0.5) AS side_by_side")) for _ in range(3)]
            seen = 0
            while not all(task.done() for task in sleeping):
                running = "SELECT count() FROM system.processes WHERE query LIKE '%side_by_side%'"
                seen = max(seen, (await client.query(running)).first_row[0] - 1)
            return int(seen)

    assert asyncio.run(both()) == 3


def test_an_answer_says_what_it_cost_and_what_it_is(url: str) -> None:
    _, headers, _ = request(url, "POST", {"query_id": "q-1"}, b"SELECT number FROM numbers(10) FORMAT JSONEachRow")
    assert headers["X-ClickHouse-Query-Id"] == "q-1"
    assert headers["X-ClickHouse-Format"] == "JSONEachRow"
    assert '"result_rows": "10"' in headers["X-ClickHouse-Summary"]


def test_a_folder_has_one_server(url: str, tmp_path: Path) -> None:
    with (
        running_clickhouse(tmp_path / "data"),
        pytest.raises(BusyError, match="is in use by another ClickHouse server"),
        running_clickhouse(tmp_path / "data"),
    ):
        pass


def test_a_taken_port_is_one_clear_error(url: str, tmp_path: Path) -> None:
    port = urlsplit(url).port or 0
    with (
        pytest.raises(UnavailableError, match=f"port {port} of 127.0.0.1 is taken"),
        running_clickhouse(tmp_path, port=port),
    ):
        pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_what_was_written_survives_every_end(tmp_path: Path, number: signal.Signals) -> None:
    server = _start(tmp_path)
    assert server.stdout is not None
    url = server.stdout.readline().strip()
    request(url, "POST", {}, b"CREATE TABLE kept ENGINE = MergeTree ORDER BY id AS SELECT 7 AS id")
    # A query that is still running does not hold up the end.
    threading.Thread(
        target=_ignore_errors,
        args=(url, b"SELECT sum(sleepEachRow(0.1)) FROM numbers(1000) SETTINGS max_block_size = 1"),
        daemon=True,
    ).start()
    _wait_for(
        url, "SELECT count() FROM system.processes WHERE query LIKE '%sleepEachRow%' AND query NOT LIKE '%processes%'"
    )
    server.send_signal(number)
    _, errors = server.communicate(timeout=30)
    assert server.returncode == (-9 if number is signal.SIGKILL else 0)
    assert errors == ""
    with running_clickhouse(tmp_path) as again:
        assert request(again, "POST", {}, b"SELECT * FROM kept")[2] == "7\n"


def test_it_ends_with_the_process_that_started_it_even_while_it_is_starting(tmp_path: Path) -> None:
    servers = [_start(tmp_path / str(number), "--while-stdin-open") for number in range(4)]
    for number, server in enumerate(servers):
        assert server.stdout is not None
        server.stdout.readline()
        time.sleep(number * 0.05)
        _, errors = server.communicate(timeout=60)  # which closes its input
        assert (server.returncode, errors) == (0, "")


def _start(path: Path, *more: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "infra.local.clickhouse", "--path", str(path), "--port", "0", *more]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def _ignore_errors(url: str, sql: bytes) -> None:
    with contextlib.suppress(OSError):
        request(url, "POST", {}, sql)


def _wait_for(url: str, count: str) -> None:
    """Until a count is more than nothing."""
    deadline = time.monotonic() + 20
    while request(url, "POST", {}, count.encode())[2] == "0\n":
        assert time.monotonic() < deadline, f"never happened: {count}"
        time.sleep(0.02)


def test_a_store_whose_server_died_is_unavailable_at_once(tmp_path: Path) -> None:
    async def ask(address: Address) -> None:
        async with connected_async(address) as store:
            server.kill()
            server.wait()
            await store.rows("published_snapshots_v1/pointers")

    server = _start(tmp_path)
    assert server.stdout is not None
    address = Address(url=server.stdout.readline().strip())
    migrate(address)
    with connected(address) as store:
        with pytest.raises(UnavailableError, match="does not answer"):
            asyncio.run(ask(address))
        with pytest.raises(UnavailableError, match="does not answer"):
            store.rows("published_snapshots_v1/pointers")
    with pytest.raises(UnavailableError, match="does not answer"):
        asyncio.run(ask(address))
