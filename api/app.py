"""Wires the service: store, watch, look-up, HTTP. Everything it needs comes in; nothing is opened at import."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import FastAPI
from threadpoolctl import threadpool_limits

from api.answers import Writer
from api.clickhouse_store import ClickHouseStore
from api.logs import protect_access_log
from api.lookup import Lookup
from api.problems import document_refusals, install_problems, problem_schemas
from api.routes import Service, router
from api.security import Guard
from api.store import Store
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


def create_app(settings: Settings, *, store: Store | None = None, clock: Callable[[], datetime] = now) -> FastAPI:
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

    protect_access_log(_key(settings))
    app = _App(
        title="Recommendations",
        version="1",
        description="What to show a bank's user now: looked up in the published snapshot, through the policy.",
        lifespan=lifespan,
    )
    app.state.guard = Guard.of(settings, clock=clock)
    install_problems(app)
    app.include_router(router)
    return app


def _service(settings: Settings, store: Store, clock: Callable[[], datetime]) -> Service:
    timezone = ZoneInfo(settings.timezone)
    watch = Watch(store, clock=clock, timezone=timezone, copy=settings.data_dir / "api" / "static_copy.json")
    return Service(
        store=store,
        watch=watch,
        lookup=Lookup(store, watch, deadline_seconds=settings.lookup_deadline_ms / 1000),
        writer=Writer(key=_key(settings), timezone=timezone),
        clock=clock,
    )


def _key(settings: Settings) -> bytes:
    return settings.rec_id_key.get_secret_value().encode()
