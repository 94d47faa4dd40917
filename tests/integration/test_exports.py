"""Exports on a real ClickHouse: whole or not at all, once a key, and counted when they were sent."""

import asyncio
import base64
import csv
import hashlib
import io
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pyarrow.parquet as pq
import pytest

from api import export_files
from api.app import create_app
from api.export_files import Folder
from data_contracts.settings import Settings
from sql.client import Address, connected
from tests.day_world import NOW

URL = "/api/v1/exports"
ORDER = {"request_key": "morning", "channel": "web", "top_k": 3}


@asynccontextmanager
async def service(address: Address, folder: Path, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(
        **changes,
        data_dir=folder,
        clickhouse_url=address.url,
        pointer_poll_seconds=0.1,
        lists_chunk_users=50,
        grpc_port=0,
        lookup_deadline_ms=60_000,
    )
    app = create_app(settings, clock=lambda: NOW)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://api") as client,
    ):
        yield client


async def until(client: httpx.AsyncClient, export_id: str, *states: str) -> dict[str, Any]:
    while (found := (await client.get(f"{URL}/{export_id}")).json())["state"] not in states:
        await asyncio.sleep(0.05)
    return dict(found)


async def asked(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    # A machine that is so busy that ClickHouse seems to be away says so meanwhile.
    while (response := await client.post(URL, json={**ORDER, **changes})).status_code == 503:
        await asyncio.sleep(0.2)
    assert response.status_code == 202, response.text
    return dict(response.json())


async def streamed(client: httpx.AsyncClient) -> dict[int, list[str]]:
    lines = (await client.get("/api/v1/lists", params={"channel": "web", "top_k": 3})).content.splitlines()
    lists = [one for one in map(orjson.loads, lines) if "user_id" in one]
    return {int(one["user_id"]): [item["item_id"] for item in one["items"]] for one in lists}


def test_an_export_is_what_the_stream_says_in_parts_with_a_manifest_and_one_a_key(
    bulk_address: Address, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with service(bulk_address, tmp_path) as client:
            expected = await streamed(client)
            first = await asked(client, partitions=3)
            done = await until(client, first["export_id"], "written")
            assert (await asked(client, partitions=3))["export_id"] == first["export_id"]
            other = await client.post(URL, json={**ORDER, "partitions": 2})
            assert (other.status_code, other.json()["errors"][0]["field"]) == (409, "request_key")

            folder = Path(done["uri"])
            manifest = orjson.loads((folder / "manifest.json").read_bytes())
            found: dict[int, list[str]] = {}
            for file in manifest["files"]:
                assert hashlib.sha256((folder / file["name"]).read_bytes()).hexdigest() == file["sha256"]
                rows = pq.read_table(folder / file["name"]).to_pylist()
                assert file["lists"] == len(rows) > 0
                found |= {row["user_id"]: row["item_ids"] for row in rows}
            assert found == expected
            assert (manifest["lists"], done["lists"]) == (len(found), len(found))

            table = await until(
                client, (await asked(client, request_key="table", format="csv", bom=True))["export_id"], "written"
            )
            text = next(Path(table["uri"]).rglob("part-00000.csv")).read_bytes()
            assert text.startswith(b"\xef\xbb\xbfuser_id,rank,")
            listed: dict[int, list[str]] = {}
            for row in csv.DictReader(text.decode("utf-8-sig").splitlines()):
                listed.setdefault(int(row["user_id"]), []).append(row["item_id"])
            assert listed == expected
            assert (await client.get(f"{URL}/{'0' * 24}")).status_code == 404

    asyncio.run(scene())


@pytest.mark.parametrize("format_", ["parquet", "csv"])
def test_what_was_sent_is_counted_once_and_what_was_cancelled_never(
    bulk_address: Address, tmp_path: Path, format_: str
) -> None:
    async def scene() -> None:
        async with service(bulk_address, tmp_path) as client:
            one = (await asked(client, request_key=f"send {format_}", format=format_))["export_id"]
            two = (await asked(client, request_key=f"cancel {format_}", format=format_))["export_id"]
            written = await until(client, one, "written")
            uri = (await until(client, two, "written"))["uri"]
            for _ in range(2):
                sent = await client.post(f"{URL}/{one}/sent", json={"items": 2})
                assert (sent.status_code, sent.json()["state"], sent.json()["sent_items"]) == (200, "sent", 2)
                gone = await client.post(f"{URL}/{two}/cancel")
                assert (gone.status_code, gone.json()["state"]) == (200, "cancelled")
            assert not (Path(uri) / "manifest.json").exists()
            for path in (f"{one}/cancel", f"{two}/sent"):
                assert (await client.post(f"{URL}/{path}")).status_code == 409
            assert (await client.post(f"{URL}/{one}/sent", json={"items": 1})).status_code == 409

            expected = await streamed(client)
            with connected(bulk_address) as store:
                events = store.table("user_events_v1/range", first=0, last=10**6, shards=1, shard=0, cut_off=0)
            told = [row for row in events.to_pylist() if row["event_type"] == "sent"]
            mine = {(row["user_id"], row["item_id"]) for row in told if row["event_id"].startswith(one)}
            assert mine == {(user, item) for user, items in expected.items() for item in items[:2]}
            assert written["lists"] == len(expected)
            assert not [row for row in told if row["event_id"].startswith(two)]

    try:
        asyncio.run(scene())
    finally:
        _forget_contacts(bulk_address)


def test_an_export_whose_files_were_taken_away_is_gone(bulk_address: Address, tmp_path: Path) -> None:
    async def scene() -> None:
        async with service(bulk_address, tmp_path) as client:
            one = (await asked(client, request_key="taken away"))["export_id"]
            uri = Path((await until(client, one, "written"))["uri"])
            part = next(path.name for path in uri.rglob("part-*") if path.is_file())
            (uri / "manifest.json").unlink()
            told = [
                await client.get(f"{URL}/{one}/files/{part}"),
                await client.get(f"{URL}/{one}/removed"),
                await client.post(f"{URL}/{one}/sent"),
            ]
        assert [answer.status_code for answer in told] == [410] * 3
        assert "gone from their folder" in told[0].json()["detail"]

    asyncio.run(scene())


def test_an_export_that_is_killed_leaves_no_manifest_and_is_begun_anew(
    bulk_address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_writing, may_go_on = threading.Event(), threading.Event()
    real = Folder.write

    def slow(folder: Folder, name: str, parts: Any) -> Any:
        if name == "part-00001.parquet":
            is_writing.set()
            may_go_on.wait(60)
        return real(folder, name, parts)

    async def scene() -> None:
        monkeypatch.setattr(export_files.Folder, "write", slow)
        async with service(bulk_address, tmp_path) as client:
            begun = await asked(client, request_key="killed", partitions=2)
            await asyncio.to_thread(is_writing.wait, 60)
            client._transport.app.state.exports.running[begun["export_id"]].set()  # type: ignore[attr-defined]
            may_go_on.set()
        folder = Path(begun["uri"])
        assert not [path for path in folder.rglob("*") if path.is_file()]
        monkeypatch.setattr(export_files.Folder, "write", real)
        monkeypatch.setattr("api.exports._SILENT_SECONDS", -1)
        async with service(bulk_address, tmp_path) as client:
            again = await asked(client, request_key="killed", partitions=2)
            assert again["export_id"] == begun["export_id"]
            await until(client, begun["export_id"], "written")
            assert (folder / "manifest.json").exists()

    asyncio.run(scene())


@pytest.mark.parametrize("format_", ["parquet", "csv"])
def test_who_is_suppressed_or_erased_after_an_export_was_written_is_neither_pulled_nor_counted(
    bulk_address: Address, tmp_path: Path, format_: str
) -> None:
    async def scene() -> None:
        async with service(bulk_address, tmp_path) as client:
            order = {"request_key": f"check {format_}", "format": format_, "bom": True, "partitions": 2}
            found = await until(client, (await asked(client, **order))["export_id"], "written")
            one, folder = found["export_id"], Path(found["uri"])
            manifest, files = orjson.loads((folder / "manifest.json").read_bytes()), found["files"]
            listed = _listed([(folder / file["name"]).read_bytes() for file in manifest["files"]], format_)
            assert await _pulled(client, one, files, format_) == listed
            assert (await client.get(f"{URL}/{one}/removed")).text.splitlines() == ["user_id,item_id"]

            silent, unfond, *rest = list(listed)
            disliked = listed[unfond][0]
            everything = {"user_ids": [str(silent)], "kind": "opt_out", "channel": "web"}
            wrongly = (await client.post("/api/v1/suppressions", json=everything)).json()["id"]
            assert silent not in await _pulled(client, one, files, format_)
            lifted = await client.post(f"/api/v1/suppressions/{wrongly}/lift", json={"reason": "a mix-up"})
            assert lifted.json()["lifted"] == 1
            assert await _pulled(client, one, files, format_) == listed
            for body in (everything, {**everything, "user_ids": [str(unfond)], "product_id": disliked}):
                assert (await client.post("/api/v1/suppressions", json=body)).status_code == 202
            left = {**listed, unfond: listed[unfond][1:]}
            del left[silent]
            left = {user: items for user, items in left.items() if items}
            assert await _pulled(client, one, files, format_) == left
            gone = [f"{silent},{item}" for item in listed[silent]] + [f"{unfond},{disliked}"]
            assert sorted((await client.get(f"{URL}/{one}/removed")).text.splitlines()[1:]) == sorted(gone)

            assert (await client.get(f"{URL}/{one}/files/part-00009.parquet")).status_code == 404
            sent = (await client.post(f"{URL}/{one}/sent", json={"items": 1})).json()
            assert sent["contacts"] == len(left)
            with connected(bulk_address) as store:
                events = store.table("user_events_v1/range", first=0, last=10**6, shards=1, shard=0, cut_off=0)
            told = {(row["user_id"], row["item_id"]) for row in events.to_pylist() if row["event_id"].startswith(one)}
            assert told == {(user, items[0]) for user, items in left.items()}
            assert rest
            assert (await client.get(f"{URL}/{one}/files/{files[0]}")).status_code == 409

    try:
        asyncio.run(scene())
    finally:
        _forget_contacts(bulk_address)


def test_what_is_prepared_for_crm_is_nobody_elses_until_it_is_sent_cancelled_or_over(
    bulk_address: Address, tmp_path: Path
) -> None:
    crm = {"channel": "crm", "send_items": 2}

    async def listed(client: httpx.AsyncClient, key: str) -> tuple[str, dict[int, list[str]]]:
        found = await until(client, (await asked(client, request_key=key, **crm))["export_id"], "written")
        return found["export_id"], await _pulled(client, found["export_id"], found["files"], "parquet")

    async def shown(client: httpx.AsyncClient, user_id: int) -> list[str]:
        params = {"user_id": user_id, "channel": "crm", "top_k": 3}
        answer = (await client.get("/api/v1/recommendations", params=params)).json()
        return [one["product_id"] for one in answer["recommendations"]]

    async def scene() -> None:
        async with service(bulk_address, tmp_path) as client:
            one, first = await listed(client, "held")
            two, second = await listed(client, "after it")
            reserved = {(user, item) for user, items in first.items() for item in items[:2]}
            assert not reserved & {(user, item) for user, items in second.items() for item in items}
            user = next(user for user in first if user in second)
            assert await shown(client, user) == [item for item in second[user] if item not in second[user][:2]]
            # Its own files have them still, though another one has reserved the rest meanwhile.
            assert (await listed(client, "held"))[1] == first

            for export_id in (one, two, two):
                assert (await client.post(f"{URL}/{export_id}/cancel")).json()["state"] == "cancelled"
            assert await shown(client, user) == first[user]
            three, third = await listed(client, "once more")
            assert third == first
            sent = (await client.post(f"{URL}/{three}/sent")).json()
            assert (sent["sent_items"], sent["contacts"]) == (2, len(reserved))
            # Were they counted as reserved too, they would be more than the three a week that a user is sent.
            assert await shown(client, user) == second[user]

        _forget_contacts(bulk_address)
        async with service(bulk_address, tmp_path, exports_hold_days=1e-5) as client:
            assert (await listed(client, "over soon"))[1] == first
            while await shown(client, user) != first[user]:
                await asyncio.sleep(0.1)

    try:
        asyncio.run(scene())
    finally:
        _forget_contacts(bulk_address)


async def _pulled(client: httpx.AsyncClient, export_id: str, files: list[str], format_: str) -> dict[int, list[str]]:
    bodies = []
    for name in files:
        response = await client.get(f"{URL}/{export_id}/files/{name}")
        digest = base64.b64encode(hashlib.sha256(response.content).digest()).decode()
        assert response.headers["repr-digest"] == f"sha-256=:{digest}:"
        bodies.append(response.content)
    return _listed(bodies, format_)


def _listed(bodies: list[bytes], format_: str) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for body in bodies:
        if format_ == "parquet":
            found |= {row["user_id"]: row["item_ids"] for row in pq.read_table(io.BytesIO(body)).to_pylist()}
            continue
        for row in csv.DictReader(body.decode("utf-8-sig").splitlines()):
            items = found.setdefault(int(row["user_id"]), [])
            items.append(row["item_id"])
            assert int(row["rank"]) == len(items)
    return found


def _forget_contacts(address: Address) -> None:
    """Others look at the same users."""
    with connected(address) as store:
        mine = "{} IN ('sent', 'reserved', 'released') OR {} = 'contact.suppressions'"
        body = ("JSONExtractString(body, 2)", "JSONExtractString(body, 1)")
        for table, where in (
            ("user_events", mine.format("event_type", "topic")),
            ("user_rows", f"snapshot_id = '' AND ({mine.format(*body)})"),
        ):
            store._client.command(f"ALTER TABLE {table} DELETE WHERE {where} SETTINGS mutations_sync = 2")
