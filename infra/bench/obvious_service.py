"""What `recs bench lookup` is measured against: the obvious service, one ClickHouse query a request, no policy.

Nobody's product: it shows held and forbidden items, has no second tier, and fails when the database does.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Request

from data_contracts.settings import Settings
from sql.client import Address, connected_async


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with connected_async(Address.of(Settings())) as store:
        app.state.store = store
        yield


app = FastAPI(lifespan=_lifespan)


@app.get("/recommendations")
async def recommendations(request: Request, snapshot_id: str, user_id: int, top_k: int = 10) -> dict[str, Any]:
    rows = await request.app.state.store.rows("lists_v1/lookup", snapshot_id=snapshot_id, user_ids=[user_id])
    items = [
        {"item": item, "score": score, "reason": reason}
        for _, _, items, scores, reasons, *_ in rows
        for item, score, reason in zip(items, scores, reasons, strict=True)
    ]
    return {"user_id": user_id, "recommendations": items[:top_k]}
