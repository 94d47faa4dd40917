"""Exports to Object Storage, by S3 as moto serves it: whole with a manifest or none, also when the API is killed."""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import boto3
import httpx
import orjson
import pytest

from api.app import create_app
from data_contracts.settings import Settings
from infra.local.embedded import free_port
from infra.stack import environment, wait_until_ready
from sql.client import Address
from tests.day_world import NOW
from tests.integration.conftest import bulk_address

__all__ = ["bulk_address"]
URL = "/api/v1/exports"
ORDER = {"request_key": "s3", "channel": "web", "format": "csv", "partitions": 3}


def settings_of(address: Address, folder: Path, storage: str, bucket: str) -> Settings:
    return Settings(
        data_dir=folder,
        clickhouse_url=address.url,
        exports=f"s3://{bucket}/out?endpoint_override={storage.removeprefix('http://')}&scheme=http",
        lists_chunk_users=10,
        grpc_port=0,
        api_port=free_port(),
        auth="off",
        max_snapshot_age_days=36_500,
    )


@asynccontextmanager
async def service(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings, clock=lambda: NOW)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://api") as client,
    ):
        yield client


async def whole(client: httpx.AsyncClient, order: dict[str, Any], objects: Callable[[], dict[str, bytes]]) -> str:
    """The id of an export that was asked for, once it is written and every file is what its manifest says."""
    told = (await client.post(URL, json=order)).json()
    while told["state"] in ("asked", "running"):
        await asyncio.sleep(0.05)
        told = (await client.get(f"{URL}/{told['export_id']}")).json()
    assert told["state"] == "written", told
    found, folder = objects(), f"out/{told['export_id']}"
    manifest = orjson.loads(found[f"{folder}/manifest.json"])
    paths = [file["name"] for file in manifest["files"]]
    assert [path.rpartition("/")[2] for path in paths] == told["files"]
    for file in manifest["files"]:
        assert hashlib.sha256(found[f"{folder}/{file['name']}"]).hexdigest() == file["sha256"]
    copy = f"{paths[0].partition('/')[0]}/written.json"
    assert found[f"{folder}/{copy}"] == found[f"{folder}/manifest.json"]
    expected = {f"{folder}/{name}" for name in (*paths, copy, "manifest.json")}
    assert {name for name, body in found.items() if body} == expected
    return str(told["export_id"])


@pytest.fixture
def objects(storage: str, bucket: str) -> Callable[[], dict[str, bytes]]:
    """What the bucket holds, by key."""
    client = boto3.client("s3", endpoint_url=storage)

    def held() -> dict[str, bytes]:
        keys = [one["Key"] for one in client.list_objects_v2(Bucket=bucket).get("Contents", [])]
        return {key: client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}

    return held


def test_an_export_in_a_bucket_is_whole_can_be_pulled_checked_and_is_gone_when_it_was_cancelled(
    bulk_address: Address, storage: str, bucket: str, tmp_path: Path, objects: Callable[[], dict[str, bytes]]
) -> None:
    async def scene() -> None:
        async with service(settings_of(bulk_address, tmp_path, storage, bucket)) as client:
            one = await whole(client, ORDER, objects)
            pulled = await client.get(f"{URL}/{one}/files/part-00001.csv")
            (part,) = (body for key, body in objects().items() if key.endswith("/part-00001.csv"))
            assert pulled.content == part
            assert objects()[f"out/{one}/removed-part-00001.csv"] == b"user_id,item_id\r\n"
            assert (await client.post(f"{URL}/{one}/cancel")).json()["state"] == "cancelled"
            assert f"out/{one}/manifest.json" not in objects()

    asyncio.run(scene())


def test_an_api_that_is_killed_while_it_writes_leaves_no_manifest_and_the_same_request_begins_anew(
    *,
    bulk_address: Address,
    storage: str,
    bucket: str,
    tmp_path: Path,
    objects: Callable[[], dict[str, bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings, order = (
        settings_of(bulk_address, tmp_path, storage, bucket),
        {**ORDER, "request_key": "killed", "partitions": 60},
    )
    process = subprocess.Popen([sys.executable, "-m", "api"], env=environment(settings))
    try:
        base = f"http://127.0.0.1:{settings.api_port}"
        wait_until_ready(f"{base}/healthz")
        begun = httpx.post(f"{base}{URL}", json=order).json()
        until = time.monotonic() + 60
        while not any(key.endswith("part-00002.csv") for key in objects()) and time.monotonic() < until:
            time.sleep(0.01)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    left = objects()
    assert any(key.endswith("part-00002.csv") for key in left)
    assert not [key for key in left if "manifest" in key]

    async def scene() -> None:
        monkeypatch.setattr("api.exports._SILENT_SECONDS", -1)
        async with service(settings) as client:
            assert await whole(client, order, objects) == begun["export_id"]

    asyncio.run(scene())
