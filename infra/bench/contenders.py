"""Who is measured by `recs bench lookup`: the service over REST and gRPC, everything on, and the obvious service."""

import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import orjson
import psutil
from numpy.typing import NDArray

from data_contracts import recommendation_pb2 as pb
from data_contracts.overlay import EventRow
from data_contracts.overlay.rows import FOR_GOOD, MAX_CUT_OFF
from data_contracts.settings import Settings
from data_contracts.vocabulary import Scope
from infra.bench.http_client import HttpPool, Response, get, http_pool, post
from infra.bench.load import Ask, Said
from infra.bench.lookup_world import SNAPSHOT, publish_world
from infra.bench.service import running_api, running_app, running_grpc_api
from infra.local.clickhouse.running import running_clickhouse
from infra.tokens import ensure_issuer, issue
from sql.client import Address, connected
from sql.user_events import put_events

MOST_CONNECTIONS = 512
_PATH = "/api/v1/recommendations"
# By our own limit, and by grpc's in front of it.
_TURNED_AWAY = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
_METHOD = f"/{pb.DESCRIPTOR.services_by_name['RecommendationService'].full_name}/GetRecommendations"


@dataclass(frozen=True)
class Stage:
    """The running services, by address, and the processes whose CPU and memory count."""

    rest: str
    grpc: str
    obvious: str
    processes: Mapping[str, psutil.Process]  # rest, grpc, obvious, database
    users: NDArray[np.int64]
    token: str
    environment: Mapping[str, str]

    def watched(self, name: str) -> tuple[psutil.Process, psutil.Process]:
        return self.processes[name], self.processes["database"]

    @contextmanager
    def clickhouse_paused(self) -> Iterator[None]:
        database = self.processes["database"]
        database.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            database.send_signal(signal.SIGCONT)


@contextmanager
def stage(*, users: int) -> Iterator[Stage]:
    """All of them on one embedded ClickHouse, whose users have had some events since the night."""
    with tempfile.TemporaryDirectory() as scratch, running_clickhouse(Path(scratch) / "clickhouse") as url:
        user_ids = publish_world(Address(url=url), Path(scratch) / "snapshot", users=users)
        _stream_events(url, user_ids[::5])
        environment = {**os.environ, "RECS_CLICKHOUSE_URL": url, "RECS_DATA_DIR": scratch}
        token = _token(scratch)
        with (
            running_api(environment) as (rest, rest_process),
            running_grpc_api(environment) as (over_grpc, grpc_process),
            running_app("infra.bench.obvious_service:app", environment) as (obvious, obvious_process),
        ):
            processes = {"rest": rest_process, "grpc": grpc_process, "obvious": obvious_process}
            processes["database"] = _listening_at(url)
            yield Stage(rest, over_grpc, obvious, processes, user_ids, token, environment)


@asynccontextmanager
async def asked(stage: Stage, *, connections: int = MOST_CONNECTIONS) -> AsyncIterator[Mapping[str, Ask]]:
    """How each is asked for a user: rest, grpc, obvious; and `batch`, which takes a list of users."""
    headers = {"Authorization": f"Bearer {stage.token}"}
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(http_pool(stage.rest, most=connections))
        obvious = await stack.enter_async_context(http_pool(stage.obvious, most=connections))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(stage.grpc))
        yield {
            "rest": _over_http(ours, f"{_PATH}?channel=web&top_k=10&user_id=%d", headers),
            "grpc": _over_grpc(channel, stage.token),
            "obvious": _over_http(obvious, f"/recommendations?snapshot_id={SNAPSHOT}&top_k=10&user_id=%d", {}),
            "batch": _batches(ours, headers),
        }


def _over_http(pool: HttpPool, path: str, headers: Mapping[str, str]) -> Ask:
    async def ask(user_id: int) -> Said:
        return _said(await pool.ask(get(path % user_id, headers)))

    return ask


def _batches(pool: HttpPool, headers: Mapping[str, str]) -> Ask:
    async def ask(user_ids: Any) -> Said:
        body = orjson.dumps({"user_ids": user_ids, "channel": "web", "top_k": 10})
        return _said(await pool.ask(post(f"{_PATH}/batch", headers, body)))

    return ask


def _said(response: Response) -> Said:
    if response.status == 503:
        return Said.REFUSED
    if response.status != 200:
        return Said.FAILED
    # The answer's own tier stands before those of its items; the obvious service tells none.
    head, _, _ = response.body.partition(b'"recommendations"')
    return Said.DEGRADED if b'"tier":' in head and b'"tier":"personal"' not in head else Said.GOOD


def _over_grpc(channel: Any, token: str) -> Ask:
    call = channel.unary_unary(
        _METHOD,
        request_serializer=pb.RecommendRequest.SerializeToString,
        response_deserializer=pb.RecommendResponse.FromString,
    )
    metadata = (("authorization", f"Bearer {token}"),)

    async def ask(user_id: int) -> Said:
        try:
            answer = await call(
                pb.RecommendRequest(user_id=user_id, channel=pb.CHANNEL_WEB, top_k=10), metadata=metadata
            )
        except grpc.aio.AioRpcError as error:
            return Said.REFUSED if error.code() in _TURNED_AWAY else Said.FAILED
        return Said.GOOD if answer.tier == pb.TIER_PERSONAL else Said.DEGRADED

    return ask


def _token(data_dir: str) -> str:
    settings = Settings(data_dir=Path(data_dir))
    ensure_issuer(settings)
    scopes = [Scope.RECOMMENDATIONS_READ, Scope.LISTS_READ, Scope.EXPORTS_WRITE, Scope.AUDIENCES_WRITE]
    return issue(settings, scopes=scopes, client="bench", seconds=6 * 3600)


def _stream_events(url: str, user_ids: NDArray[np.int64]) -> None:
    """Two events a user: a product that was looked at, and one that was dismissed."""
    now = int(datetime.now(UTC).timestamp() * 1e6)
    a_day = timedelta(days=1) // timedelta(microseconds=1)
    rows = [
        EventRow(
            user_id=user_id,
            event_time=now - a_day,
            topic=topic,
            event_type=event_type,
            event_id=f"{event_type}-{user_id}",
            item_id=f"product_{(user_id + number) % 60:02}",
            channel="",
            family="",
            last_cut_off=MAX_CUT_OFF,
            expires_at=FOR_GOOD,
        )
        for user_id in user_ids.tolist()
        for number, (topic, event_type) in enumerate(
            [("digital.telemetry", "product_view"), ("campaign.interactions", "dismissed")]
        )
    ]
    with connected(Address(url=url)) as store:
        put_events(store, rows)


def _listening_at(url: str) -> psutil.Process:
    """The child of ours that listens at a URL."""
    port = int(url.rpartition(":")[2])
    for child in psutil.Process().children():
        if any(connection.laddr.port == port for connection in child.net_connections() if connection.laddr):
            return child
    raise LookupError(f"no child of this process listens at {url}")
