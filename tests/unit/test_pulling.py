"""`recs lists pull` on a server that breaks off: the file is there only when it is whole, and nothing comes twice."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from api.bulk_chunks import NOTHING, Chunk, Names
from api.bulk_formats import Format, writer_of
from api.ranks import Ranks
from data_contracts.errors import InputError, UnavailableError
from infra.pulling import Source, pull

NAMES = Names(pa.array(["card", "=cmd()", 'a "quoted", one', "loan"]))


def chunk(number: int) -> Chunk:
    """Three users, the last of whom is shown nothing."""
    shown = Ranks.none(3, 3)
    shown.items[0, :3], shown.items[1, :1] = [1, 2, 0], [3]
    shown.scores[0, :2], shown.reasons[0, 0] = [40_000, 30_000], 1 | 2 << 8
    after = np.array(["2026-03-17T06:00", "NaT", "NaT"], "datetime64[us]")
    return Chunk.of(10 * number + np.arange(3), shown, NAMES, after)


def chunks(format_: Format) -> list[bytes]:
    """Three chunks, cursors c1 to c3, and the end, each as it is sent."""
    writer, totals, parts = writer_of(format_), NOTHING, []
    head = writer.start()
    for number in (1, 2, 3):
        data, totals = writer.write(chunk(number), totals, lambda _, number=number: f"c{number}")  # type: ignore[misc]
        parts.append(head + data)
        head = b""
    told = {"lists": totals.lists, "users": totals.users, "items": totals.items, "crc32": totals.checksum}
    return [*parts, writer.end(told)]


def rest_of(format_: Format, after: int) -> bytes:
    """What a service sends after a cursor: with a head of its own where the format has one, the same end."""
    writer, totals = writer_of(format_, is_whole=False), NOTHING
    for number in range(1, after + 1):
        _, totals = writer_of(format_).write(chunk(number), totals, lambda _: "")
    sent = writer.start()
    for number in range(after + 1, 4):
        data, totals = writer.write(chunk(number), totals, lambda _, number=number: f"c{number}")  # type: ignore[misc]
        sent += data
    return sent + writer.end({"lists": totals.lists, "crc32": totals.checksum})


@contextmanager
def server(*answers: tuple[int, bytes]) -> Iterator[tuple[str, list[str]]]:
    """Gives its answers one after another, and notes the cursors it was asked with."""
    left, cursors = list(answers), list[str]()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            cursors.append(parse_qs(urlsplit(self.path).query).get("cursor", [""])[0])
            status, body = left.pop(0)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}", cursors
        running.shutdown()


def pulled(url: str, out: Path, format_: Format, *, tries: int = 3) -> int:
    source = Source(url, {"channel": "crm", "format": format_.value}, token=lambda: None)
    return int(pull(source, out, format_=format_, tries=tries, wait_seconds=0)["lists"])


@pytest.mark.parametrize("format_", [Format.NDJSON, Format.CSV, Format.ARROW])
def test_a_pull_that_breaks_goes_on_and_ends_as_one_that_did_not(format_: Format, tmp_path: Path) -> None:
    parts = chunks(format_)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    with server((200, b"".join(parts))) as (url, _):
        assert pulled(url, whole, format_) == 6
    torn = parts[0] + parts[1] + parts[2][: len(parts[2]) // 2]
    with server((200, torn), (503, b""), (200, rest_of(format_, 2))) as (url, cursors):
        assert pulled(url, broken, format_) == 6
    assert cursors == ["", "c2", "c2"]
    assert broken.read_bytes() == whole.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"whole", "broken"}
    if format_ is Format.ARROW:
        with pa.ipc.open_stream(whole) as stream:
            assert stream.read_all()["user_id"].to_pylist() == [10, 11, 20, 21, 30, 31]
    else:
        assert b"cursor" not in whole.read_bytes()


def test_what_was_killed_goes_on_when_it_is_run_again_and_not_with_other_parameters(tmp_path: Path) -> None:
    parts, out = chunks(Format.NDJSON), tmp_path / "lists"
    with server((200, parts[0])) as (url, _), pytest.raises(UnavailableError):
        pulled(url, out, Format.NDJSON, tries=1)
    assert not out.exists()
    with server((200, b"".join(parts))) as (url, cursors):
        source = Source(url, {"channel": "web", "format": "ndjson"}, token=lambda: None)
        assert pull(source, tmp_path / "lists", format_=Format.NDJSON, tries=1)["lists"] == 6
    assert cursors == [""]


def test_a_truncated_or_changed_pull_is_no_file(tmp_path: Path) -> None:
    parts, out = chunks(Format.NDJSON), tmp_path / "lists"
    with server((200, b"".join(parts[:3]))) as (url, _), pytest.raises(UnavailableError):
        pulled(url, out, Format.NDJSON, tries=1)
    assert not out.exists()
    with (
        server((200, b"".join(parts).replace(b"loan", b"lawn", 1))) as (url, _),
        pytest.raises(InputError, match="checksum"),
    ):
        pulled(url, tmp_path / "other", Format.NDJSON)
    assert not (tmp_path / "other").exists()


def test_what_is_gone_is_begun_anew_by_the_next_run(tmp_path: Path) -> None:
    parts, out = chunks(Format.NDJSON), tmp_path / "lists"
    gone = json.dumps({"detail": "the cursor is too old"}).encode()
    with server((200, parts[0]), (410, gone)) as (url, _), pytest.raises(InputError, match="too old"):
        pulled(url, out, Format.NDJSON)
    with server((200, b"".join(parts))) as (url, cursors):
        assert pulled(url, out, Format.NDJSON) == 6
    assert cursors == [""]


def test_parquet_is_whole_or_not_at_all(tmp_path: Path) -> None:
    body, out = b"".join(chunks(Format.PARQUET)), tmp_path / "lists"
    with server((200, body[: len(body) // 2]), (200, body)) as (url, _):
        assert pulled(url, out, Format.PARQUET) == 6
    assert pq.read_table(out)["item_ids"].to_pylist()[0] == ["=cmd()", 'a "quoted", one', "card"]


def test_csv_is_quoted_and_no_spreadsheet_takes_an_id_for_a_formula() -> None:
    text = b"".join(chunks(Format.CSV)).decode()
    assert '\r\nlist,10,2,"a ""quoted"", one",' in text
    assert "list,10,1,'=cmd()," in text
    last = [line.rpartition(",")[2] for line in text.splitlines() if line.startswith("list,1")]
    assert last == ["2026-03-17T06:00:00Z"] * 3 + [""]
    assert np.all([line.endswith("\r") for line in text.split("\n")[:-1]])
