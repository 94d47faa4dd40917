"""Exports that several ask for, confirm or cancel at the same moment, here and on two replicas."""

import asyncio
import hashlib
import io
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pyarrow.parquet as pq
import pytest

from api import exports
from api.export_files import MANIFEST, Folder
from api.exports import Exports
from data_contracts.errors import UnavailableError
from sql.client import Address, connected
from sql.exports import Export, Step, export_of
from tests.integration.test_exports import ORDER, URL, _forget_contacts, asked, service, until


class Gate:
    """Who comes to it waits until it is opened."""

    def __init__(self) -> None:
        self._reached, self._opened = threading.Event(), threading.Event()

    def wait(self) -> None:
        self._reached.set()
        assert self._opened.wait(60)

    def open(self) -> None:
        self._opened.set()

    async def reached(self) -> None:
        assert await asyncio.to_thread(self._reached.wait, 60)


@asynccontextmanager
async def replicas(address: Address, folder: Path) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    async with service(address, folder) as one, service(address, folder) as two:
        yield one, two
        # What they still write ends by itself, not because they do.
        await asyncio.gather(*exports_of(one).tasks, *exports_of(two).tasks)


@pytest.fixture
def world(bulk_address: Address) -> Iterator[Address]:
    yield bulk_address
    _forget_contacts(bulk_address)


def exports_of(client: httpx.AsyncClient) -> Exports:
    found: Exports = client._transport.app.state.exports  # type: ignore[attr-defined]
    return found


def saw(client: httpx.AsyncClient, found: Export | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next look of this replica was taken before another one's step."""
    mine = exports_of(client)
    real, seen = mine.look, [found]

    async def look(export_id: str) -> Export | None:
        return seen.pop() if seen else await real(export_id)

    monkeypatch.setattr(mine, "look", look)


def published(
    monkeypatch: pytest.MonkeyPatch, before: Callable[[], object] = lambda: None, *, what: str = MANIFEST
) -> list[str]:
    """Grows by a folder with each manifest, or another file; `before` runs ahead of one."""
    real, found = Folder.publish, list[str]()

    def publish(folder: Folder, name: str, parts: Iterator[bytes]) -> None:
        if name == what:
            before()
            found.append(folder.uri)
        real(folder, name, parts)

    monkeypatch.setattr(Folder, "publish", publish)
    return found


def held_back(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """The first part that anybody begins to write waits in the middle."""
    real, gate, is_first = Folder.write, Gate(), [True]

    def slow(parts: Iterator[bytes]) -> Iterator[bytes]:
        for part in parts:
            yield part
            gate.wait()

    def write(folder: Folder, name: str, parts: Iterator[bytes]) -> tuple[int, str]:
        if name.startswith("part-") and is_first:
            is_first.clear()
            return real(folder, name, slow(parts))
        return real(folder, name, parts)

    monkeypatch.setattr(Folder, "write", write)
    return gate


def assert_whole(folder: Path) -> None:
    manifest = orjson.loads((folder / MANIFEST).read_bytes())
    named = {folder / file["name"]: file["sha256"] for file in manifest["files"]}
    assert {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("part-*")} == named


@pytest.mark.parametrize("other", [{}, {"top_k": 2}])
def test_two_who_ask_with_a_key_at_once_get_one_export_and_with_other_fields_one_is_refused(
    world: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: dict[str, Any]
) -> None:
    async def scene() -> None:
        manifests = published(monkeypatch)
        async with service(world, tmp_path) as client:
            order = {**ORDER, "request_key": f"at once {other}"}
            both = await asyncio.gather(*(client.post(URL, json=one) for one in (order, {**order, **other})))
            assert sorted(one.status_code for one in both) == ([202, 409] if other else [202, 202])
            (export_id,) = {one.json()["export_id"] for one in both if one.status_code == 202}
            done = await until(client, export_id, "written", "failed")
        assert_whole(Path(done["uri"]))
        assert len(manifests) == 1

    asyncio.run(scene())


def test_of_two_replicas_that_begin_an_export_at_once_the_last_one_writes_it_and_the_other_leaves_nothing(
    world: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        manifests, gate = published(monkeypatch), held_back(monkeypatch)
        async with replicas(world, tmp_path) as (one, two):
            first = await asked(one, request_key="replicas", partitions=2)
            await gate.reached()
            saw(two, None, monkeypatch)
            assert (await asked(two, request_key="replicas", partitions=2))["export_id"] == first["export_id"]
            await until(two, first["export_id"], "written")
            gate.open()
        assert_whole(Path(first["uri"]))
        assert len(manifests) == 1

    asyncio.run(scene())


def test_two_replicas_that_are_asked_with_a_key_and_told_that_it_was_sent_at_once_make_one_export_counted_once(
    world: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        manifests = published(monkeypatch)
        async with replicas(world, tmp_path) as both:
            begun = await asyncio.gather(*(asked(one, request_key="truly at once", partitions=2) for one in both))
            (export_id,) = {one["export_id"] for one in begun}
            await asyncio.gather(*(until(one, export_id, "written") for one in both))
            told = await asyncio.gather(*(one.post(f"{URL}/{export_id}/sent", json={"items": 2}) for one in both))
            assert {one.status_code for one in told} == {200}
            (contacts,) = {one.json()["contacts"] for one in told}
        assert_whole(Path(begun[0]["uri"]))
        assert len(manifests) == 1
        with connected(world) as store:
            events = store.table("user_events_v1/range", first=0, last=10**6, shards=1, shard=0, cut_off=0).to_pylist()
        mine = [row for row in events if row["event_id"].startswith(export_id)]
        assert len({row["event_id"] for row in mine}) == contacts > 0

    asyncio.run(scene())


def test_of_two_exports_that_are_written_at_once_the_one_that_reserved_first_has_the_contacts(
    world: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both_are_written = threading.Barrier(2, timeout=60)

    async def scene() -> None:
        # Before anything is reserved.
        published(monkeypatch, before=both_are_written.wait, what="written.json")
        async with replicas(world, tmp_path) as both:
            begun = [await asked(one, request_key=f"rival {n}", channel="crm") for n, one in enumerate(both)]
            found = [await until(one, told["export_id"], "written") for one, told in zip(both, begun, strict=True)]
            ours, theirs = (next(Path(one["uri"]).rglob("part-*")).read_bytes() for one in found)
            assert listed(ours) == listed(theirs)
            left = [
                listed((await client.get(f"{URL}/{one['export_id']}/files/{one['files'][0]}")).content)
                for client, one in zip(both, found, strict=True)
            ]
            firsts = {(user, items[0]) for user, items in listed(ours).items()}
            mine, others = ({pair for pair in firsts if pair[1] in one.get(pair[0], ())} for one in left)
            assert (mine | others, mine & others) == (firsts, set())
            assert set() in (mine, others)
            for client, one in zip(both, found, strict=True):
                assert (await client.post(f"{URL}/{one['export_id']}/cancel")).status_code == 200

    asyncio.run(scene())


def listed(part: bytes) -> dict[int, list[str]]:
    return {row["user_id"]: row["item_ids"] for row in pq.read_table(io.BytesIO(part)).to_pylist()}


def test_a_replica_that_stood_still_before_its_manifest_leaves_that_of_who_wrote_the_export_meanwhile(
    world: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, is_first = Gate(), [True]

    def before() -> None:
        if is_first:
            is_first.clear()
            gate.wait()

    async def scene() -> None:
        manifests = published(monkeypatch, before=before)
        async with replicas(world, tmp_path) as (one, two):
            begun = await asked(one, request_key="stood still", partitions=2)
            await gate.reached()
            monkeypatch.setattr(exports, "_SILENT_SECONDS", -1)
            assert await asked(two, request_key="stood still", partitions=2)
            await until(two, begun["export_id"], "written")
            second = (Path(begun["uri"]) / MANIFEST).read_bytes()
            gate.open()
        assert len(manifests) == 3
        assert (Path(begun["uri"]) / MANIFEST).read_bytes() == second
        assert_whole(Path(begun["uri"]))

    asyncio.run(scene())


def test_a_replica_that_is_asked_for_another_export_at_the_same_moment_refuses_it_and_the_first_is_written(
    world: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        gate = held_back(monkeypatch)
        async with replicas(world, tmp_path) as (one, two):
            first = await asked(one, request_key="another")
            await gate.reached()
            saw(two, None, monkeypatch)
            other = await two.post(URL, json={**ORDER, "request_key": "another", "top_k": 2})
            assert (other.status_code, exports_of(two).running) == (409, {})
            gate.open()
            await until(one, first["export_id"], "written")
        assert_whole(Path(first["uri"]))

    asyncio.run(scene())


def test_what_is_being_counted_can_be_neither_cancelled_nor_pulled_nor_confirmed_otherwise(
    world: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, gate = exports._count, Gate()

    def slow(*asked: Any) -> int:
        gate.wait()
        return real(*asked)

    async def scene() -> None:
        monkeypatch.setattr(exports, "_count", slow)
        async with replicas(world, tmp_path) as (one, two):
            export_id = (await asked(one, request_key="counted"))["export_id"]
            written = await until(one, export_id, "written")
            counting = asyncio.create_task(one.post(f"{URL}/{export_id}/sent", json={"items": 2}))
            await gate.reached()
            for client in (one, two):
                assert (await client.post(f"{URL}/{export_id}/cancel")).status_code == 409
                assert (await client.post(f"{URL}/{export_id}/sent", json={"items": 1})).status_code == 409
                pulled = await client.get(f"{URL}/{export_id}/files/{written['files'][0]}")
                assert pulled.status_code == 409
            gate.open()
            sent = (await counting).json()
            assert (sent["state"], sent["sent_items"]) == ("sent", 2)
            assert sent["contacts"] > 0

    asyncio.run(scene())


def test_a_confirmation_that_broke_off_cannot_be_cancelled_and_goes_on_when_it_is_repeated(
    world: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = exports._count

    def broken(*asked: Any) -> int:
        real(*asked)
        raise UnavailableError("ClickHouse went away")

    async def scene() -> None:
        async with service(world, tmp_path) as client:
            export_id = (await asked(client, request_key="broken"))["export_id"]
            await until(client, export_id, "written")
            monkeypatch.setattr(exports, "_count", broken)
            assert (await client.post(f"{URL}/{export_id}/sent", json={"items": 2})).status_code == 503
            monkeypatch.setattr(exports, "_count", real)
            told = (await client.get(f"{URL}/{export_id}")).json()
            assert (told["state"], told["sent_items"]) == ("confirming", 2)
            assert (await client.post(f"{URL}/{export_id}/cancel")).status_code == 409
            assert (await client.post(f"{URL}/{export_id}/sent", json={"items": 1})).status_code == 409
            sent = (await client.post(f"{URL}/{export_id}/sent", json={"items": 2})).json()
            assert sent["state"] == "sent"
            with connected(world) as store:
                events = store.table("user_events_v1/range", first=0, last=10**6, shards=1, shard=0, cut_off=0)
            mine = [row for row in events.to_pylist() if row["event_id"].startswith(export_id)]
            # Told twice they are one, since their keys are.
            assert len({row["event_id"] for row in mine}) == sent["contacts"] > 0
            assert len({row["event_micros"] for row in mine}) == 1

    asyncio.run(scene())


@pytest.mark.parametrize("first", ["sent", "cancel"])
def test_of_a_confirmation_and_a_cancellation_on_two_replicas_the_first_one_holds(
    world: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    second = {"sent": "cancel", "cancel": "sent"}[first]

    async def scene() -> None:
        async with replicas(world, tmp_path) as (one, two):
            export_id = (await asked(one, request_key=f"first {first}"))["export_id"]
            await until(one, export_id, "written")
            before = await exports_of(two).look(export_id)
            assert (await one.post(f"{URL}/{export_id}/{first}")).status_code == 200
            late = exports_of(two)
            saw(two, before, monkeypatch)
            with pytest.raises(exports.ConflictError):
                if second == "cancel":
                    await late.cancel(export_id, actor="test")
                else:
                    running = two._transport.app.state.service  # type: ignore[attr-defined]
                    await late.sent(running, export_id, actor="test", items=1)
            told = await until(one, export_id, "sent", "cancelled")
            assert told["state"] == {"sent": "sent", "cancel": "cancelled"}[first]

    asyncio.run(scene())


def test_an_export_that_another_replica_cancels_before_its_manifest_gets_none(
    world: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        manifests, gate = published(monkeypatch), held_back(monkeypatch)
        async with replicas(world, tmp_path) as (one, two):
            begun = await asked(one, request_key="cancelled early")
            await gate.reached()
            assert (await two.post(f"{URL}/{begun['export_id']}/cancel")).json()["state"] == "cancelled"
            gate.open()
        assert manifests == []
        assert not list(Path(begun["uri"]).rglob("part-*"))

    asyncio.run(scene())


def test_an_export_that_another_replica_cancels_while_its_manifest_is_published_has_none_afterwards(
    world: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()

    async def scene() -> None:
        manifests = published(monkeypatch, before=gate.wait)
        async with replicas(world, tmp_path) as (one, two):
            begun = await asked(one, request_key="cancelled late")
            await gate.reached()
            assert (await two.post(f"{URL}/{begun['export_id']}/cancel")).json()["state"] == "cancelled"
            gate.open()
        assert len(manifests) == 1
        assert {path.name for path in Path(begun["uri"]).iterdir() if path.is_file()} == {"cancelled.json"}
        with connected(world) as store:
            found = export_of(store, begun["export_id"])
        assert found
        assert found.step is Step.CANCELLED

    asyncio.run(scene())
