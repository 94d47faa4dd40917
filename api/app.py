"""Wires the core (`service`) to HTTP. Everything it needs comes in; nothing is opened at import."""

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI

from api.audience_sending import AudienceSendings
from api.clickhouse_store import ClickHouseStore
from api.console_page import ConsolePage
from api.edge import Edge
from api.exports import Exports
from api.express import Express
from api.limits import Limits
from api.logs import protect_access_log
from api.problems import document_refusals, install_problems, problem_schemas
from api.pulls import Slots
from api.routes import router
from api.security import Guard
from api.service import running_service
from api.store import Store
from api.traces import Traces
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
    settings: Settings,
    *,
    store: Store | None = None,
    clock: Callable[[], datetime] = now,
    traces: Traces | None = None,
    when_ready: Callable[[], None] = lambda: None,
) -> FastAPI:
    """The application. Without `store`, the ClickHouse of the settings."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await app.state.guard.start()
        async with running_service(settings, store or ClickHouseStore(Address.of(settings)), clock) as service:
            app.state.service = service
            when_ready()
            yield
            await app.state.exports.stop()
        kept.close()

    kept = traces or Traces.of(settings)
    protect_access_log(settings.signing_key)
    app = _App(
        title="Recommendations",
        version="1",
        description="What to show a bank's user now: looked up in the published snapshot, through the policy.",
        lifespan=lifespan,
    )
    app.state.settings = settings
    app.state.guard = Guard.of(settings, clock=clock)
    app.state.limits = Limits.of(settings)
    app.state.pulls = Slots(settings.lists_pulls)
    app.state.exports = Exports(settings)
    app.state.audiences = AudienceSendings(settings)
    install_problems(app)
    app.include_router(router)
    app.mount("/console", ConsolePage())
    app.add_middleware(Express)
    app.add_middleware(Edge, settings=settings, traces=kept)
    return app
