"""Connections to ClickHouse, sync and async. Everything above runs statements by name through a `Store`.

Vendor errors are translated here, once: UnavailableError when the server does not answer or cannot work now,
InputError when it refuses what it was given. The Python types of parameters: str, int, bool, list of them.
"""

from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import clickhouse_connect
import orjson
import pyarrow as pa
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, Error
from pydantic import SecretStr

from data_contracts.errors import InputError, UnavailableError
from data_contracts.lockbox import LockboxSecret
from data_contracts.settings import Settings
from sql import clustered
from sql.statements import statement

C = TypeVar("C", bound=Client)  # the asynchronous one is one too
Parameters = Mapping[str, Any]
Rows = Sequence[Sequence[Any]]

# Tells ClickHouse which trace a query belongs to (W3C traceparent); "" for none. The API sets it around its look-ups.
TRACEPARENT: ContextVar[str] = ContextVar("traceparent", default="")

# Codes of a server that is alive but cannot work now: timeouts, memory, too many queries, read-only or lost replicas.
_TRY_LATER = frozenset({159, 202, 209, 210, 241, 242, 243, 252, 279, 319, 394, 425, 999})
# Codes of a server that does not know the user or the password: another one may have been set meanwhile.
_REFUSED = frozenset({192, 193, 194, 516})
_CONNECT_SECONDS = 2


@dataclass(frozen=True)
class Address:
    """Where a store is and who asks. `replicas`: URLs of all servers of a cluster, each of which is verified."""

    url: str
    database: str = "recs"
    user: str = "default"
    secret: SecretStr = field(default=SecretStr(""), repr=False)
    s3_endpoint: str = ""
    cluster: str = ""
    replicas: tuple[str, ...] = ()
    ca_file: Path | None = None

    @property
    def password(self) -> str:
        """As it is now: it may be changed while we run."""
        return self.secret.get_secret_value()

    def refused(self) -> bool:
        """Told that the password is not accepted; whether another one may be on its way."""
        if isinstance(self.secret, LockboxSecret):
            self.secret.refused()
            return True
        return False

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            url=settings.clickhouse_url,
            database=settings.clickhouse_database,
            user=settings.clickhouse_user,
            secret=settings.clickhouse_password,
            s3_endpoint=settings.s3_endpoint,
            cluster=settings.clickhouse_cluster,
            replicas=settings.clickhouse_replicas,
            ca_file=settings.clickhouse_ca_file,
        )

    @classmethod
    def of_operators(cls, settings: Settings) -> Self:
        """As whom the service writes what operators decide: their own user, where one is set."""
        address = cls.of(settings)
        if not settings.clickhouse_operator_user:
            return address
        return replace(address, user=settings.clickhouse_operator_user, secret=settings.clickhouse_operator_password)


class Store:
    """Runs statements by name. Safe to share between threads."""

    def __init__(self, client: Client, address: Address) -> None:
        self._logged_in = client
        self.address = address

    @property
    def _client(self) -> Client:
        return _with_password(self._logged_in, self.address)

    def rows(self, name: str, /, **parameters: Any) -> Rows:
        with _translated(self.address, name):
            result: Rows = self._client.query(statement(name), parameters=parameters).result_rows
            return result

    def table(self, name: str, /, **parameters: Any) -> pa.Table:
        with _translated(self.address, name):
            return self._client.query_arrow(statement(name), parameters=parameters, use_strings=True)

    def parquet(self, name: str, /, *, settings: Parameters | None = None, **parameters: Any) -> Iterator[bytes]:
        """The rows as a file, block by block as they come; cut off, it is no Parquet any more."""
        with _translated(self.address, name):
            query, given = statement(name), dict(settings or {})
            yield from self._client.raw_stream(query, parameters=parameters, settings=given, fmt="Parquet")

    def run(self, name: str, /, *, settings: Parameters | None = None, **parameters: Any) -> None:
        """Run a statement that returns nothing: DDL, or an INSERT that reads by itself."""
        self.run_text(statement(name), what=name, settings=settings, **parameters)

    def run_text(self, text: str, /, *, what: str, settings: Parameters | None = None, **parameters: Any) -> None:
        """The same for a part of a file; `what` is told of it in errors."""
        cluster = self.address.cluster
        given = {**(clustered.SETTINGS if cluster else {}), **(settings or {})}
        with _translated(self.address, what):
            self._client.command(clustered.on_cluster(text, cluster), parameters=parameters, settings=given)

    def send(self, name: str, data: bytes, /, *, settings: Parameters | None = None, **parameters: Any) -> None:
        """Run an INSERT whose data are the request's body."""
        with _translated(self.address, name):
            self._client.command(statement(name), parameters=parameters, data=data, settings=dict(settings or {}))

    def insert(self, table: str, rows: pa.Table) -> None:
        """Columns are matched by name."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as stream:
            stream.write_table(rows)
        self.send("load/from_body", sink.getvalue().to_pybytes(), staging=table)

    def close(self) -> None:
        self._client.close()


class AsyncStore:
    """The same for the API: any number of queries in flight."""

    def __init__(self, client: AsyncClient, address: Address) -> None:
        self._logged_in = client
        self.address = address

    @property
    def _client(self) -> AsyncClient:
        return _with_password(self._logged_in, self.address)

    async def rows(self, name: str, /, **parameters: Any) -> Rows:
        with _translated(self.address, name):
            result = await self._client.query(statement(name), parameters=parameters)
            rows: Rows = result.result_rows
            return rows

    async def few_rows(self, name: str, /, **parameters: Any) -> Rows:
        """The same for a handful of rows: one JSON body and no reader thread, at half the cost to this process."""
        with _translated(self.address, name):
            body = await self._client.raw_query(
                statement(name), parameters=parameters, fmt="JSONCompact", transport_settings=_trace_headers()
            )
            rows: Rows = orjson.loads(body)["data"]
            return rows

    async def few_columns(self, name: str, /, **parameters: Any) -> Sequence[Sequence[Any]]:
        """The same column by column, in the statement's order."""
        with _translated(self.address, name):
            body = await self._client.raw_query(statement(name), parameters=parameters, fmt="JSONCompactColumns")
            columns: Sequence[Sequence[Any]] = orjson.loads(body)
            return columns

    async def table(self, name: str, /, **parameters: Any) -> pa.Table:
        with _translated(self.address, name):
            return await self._client.query_arrow(statement(name), parameters=parameters, use_strings=True)

    async def close(self) -> None:
        await self._client.close()


@contextmanager
def connected(address: Address, *, timeout_seconds: int = 300) -> Iterator[Store]:
    """A store, while the block lasts. Raises UnavailableError quickly when nobody answers."""
    with _translated(address, "connect"):
        client = clickhouse_connect.get_client(dsn=address.url, **_options(address, timeout_seconds))
    store = Store(client, address)
    try:
        yield store
    finally:
        store.close()


@asynccontextmanager
async def connected_async(
    address: Address, *, timeout_seconds: int = 10, connections: int = 64
) -> AsyncIterator[AsyncStore]:
    with _translated(address, "connect"):
        client = await clickhouse_connect.get_async_client(
            dsn=address.url,
            connector_limit=connections,
            connector_limit_per_host=connections,
            **_options(address, timeout_seconds),
        )
    store = AsyncStore(client, address)
    try:
        yield store
    finally:
        await store.close()


def _options(address: Address, timeout_seconds: int) -> dict[str, Any]:
    return {
        "username": address.user,
        "password": address.password,
        "database": address.database,
        "connect_timeout": _CONNECT_SECONDS,
        "send_receive_timeout": timeout_seconds,
        "tz_mode": "aware",
        # A session allows one query at a time; nothing here needs one.
        "autogenerate_session_id": False,
        # The scheme of a URL is not asked by the client, the port only in part.
        "interface": urlsplit(address.url).scheme or "http",
        **({"ca_cert": str(address.ca_file)} if address.ca_file else {}),
    }


def _with_password(client: C, address: Address) -> C:
    """The client, which shows the password as it is now."""
    if isinstance(address.secret, LockboxSecret):
        shown = b64encode(f"{address.user}:{address.password}".encode()).decode()
        client.headers["Authorization"] = f"Basic {shown}"  # type: ignore[attr-defined] # those over HTTP have them
    return client


def _trace_headers() -> dict[str, str] | None:
    traceparent = TRACEPARENT.get()
    return {"traceparent": traceparent} if traceparent else None


@contextmanager
def _translated(address: Address, name: str) -> Iterator[None]:
    try:
        yield
    except ClickHouseError as error:
        code = error.code if isinstance(error, Error) else None
        if code is None or code in _TRY_LATER or (code in _REFUSED and address.refused()):
            raise UnavailableError(f"ClickHouse at {address.url} does not answer ({name}): {_short(error)}") from error
        raise InputError(f"ClickHouse at {address.url} refused {name}: {_short(error)}") from error
    except (OSError, TimeoutError) as error:
        raise UnavailableError(f"ClickHouse at {address.url} does not answer ({name}): {_short(error)}") from error


def _short(error: BaseException) -> str:
    """ClickHouse's own words in one line, without the client's frame around them."""
    text = str(error)
    start = text.find("Code: ")
    return " ".join(text[max(start, 0) :].partition(" (for url")[0].split())[:600]
