"""Wires the service: store, watch, look-up, HTTP. Everything it needs comes in; nothing is opened at import."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import FastAPI
from threadpoolctl import threadpool_limits

from api import metrics
from api.answers import Writer
from api.breaker import Breaker
from api.clickhouse_store import ClickHouseStore
from api.edge import Edge
from api.limits import Limits
from api.logs import protect_access_log
from api.lookup import Lookup
from api.problems import document_refusals, install_problems, problem_schemas
from api.routes import Service, router
from api.routes_operators import router as operators
from api.security import Guard
from api.store import Store
from api.traces import Traces
from api.watch import Watch
from data_contracts.settings import Settings
from sql.client import Address


class _App(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """The contract, with the shape of errors, which FastAPI knows only as application/json."""
        if self.openapi_schema is None:
            schema = super().openapi()
            schema["components"]["schemas"].update(problem_schemas())
            document_refusals(schema)
        return super().openapi()


def now() -> datetime:
    return datetime.now(UTC)


def create_app(
    settings: Settings, *, store: Store | None = None, clock: Callable[[], datetime] = now, traces: Traces | None = None
) -> FastAPI:
    """The application. Without `store`, the ClickHouse of the settings."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service = _service(settings, store or ClickHouseStore(Address.of(settings)), clock)
        app.state.service = service
        await app.state.guard.start()
        # The first look comes before the first request, so that it is not answered from the copy on disk.
        await service.watch.poll()
        watching = asyncio.create_task(service.watch.run(every_seconds=settings.pointer_poll_seconds))
        # The policy's matrices are small: more threads would only wait for each other.
        with threadpool_limits(limits=1, user_api="blas"):
            yield
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        await service.store.close()
        kept.close()

    kept = traces or Traces.of(settings)
    protect_access_log(_key(settings))
    app = _App(
        title="Recommendations",
        version="1",
        description="What to show a bank's user now: looked up in the published snapshot, through the policy.",
        lifespan=lifespan,
    )
    app.state.settings = settings
    app.state.guard = Guard.of(settings, clock=clock)
    app.state.limits = Limits.of(settings)
    install_problems(app)
    app.include_router(router)
    app.include_router(operators)
    app.add_middleware(Edge, settings=settings, traces=kept)
    return app


def _service(settings: Settings, store: Store, clock: Callable[[], datetime]) -> Service:
    timezone = ZoneInfo(settings.timezone)
    watch = Watch(
        store,
        clock=clock,
        timezone=timezone,
        copy=settings.data_dir / "api" / "static_copy.json",
        max_age=timedelta(days=settings.max_snapshot_age_days),
    )
    _gauges(watch)
    return Service(
        store=store,
        watch=watch,
        lookup=Lookup(
            store,
            watch,
            deadline_seconds=settings.lookup_deadline_ms / 1000,
            breaker=_breaker(settings),
            late_events=timedelta(days=settings.late_event_days),
        ),
        writer=Writer(key=_key(settings), timezone=timezone),
        clock=clock,
    )


def _gauges(watch: Watch) -> None:
    def age() -> float | None:
        return None if watch.age is None else max(0.0, watch.age.total_seconds())

    metrics.gauge("recs_snapshot_age_seconds", "Age of what the served snapshot saw", age)
    metrics.gauge("recs_snapshot_outdated", "1 while personal lists are too old to show", lambda: bool(watch.outdated))
    metrics.gauge("recs_clickhouse_up", "1 while ClickHouse tells its pointers", lambda: watch.is_up)


def _breaker(settings: Settings) -> Breaker:
    breaker = Breaker(
        failures=settings.breaker_failures,
        retry_seconds=settings.breaker_retry_seconds,
        # Late by little is mostly our own load, which sparing ClickHouse would not lighten.
        slow_seconds=5 * settings.lookup_deadline_ms / 1000,
    )
    metrics.gauge("recs_breaker_open", "1 while ClickHouse is spared after failures", lambda: breaker.is_open)
    return breaker


def _key(settings: Settings) -> bytes:
    return settings.rec_id_key.get_secret_value().encode()
