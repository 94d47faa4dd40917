"""Pulls lists from the API into a file that is there only when it is whole and verified.

What has come is in FILE.part, how far it goes in FILE.part.json: a pull that broke, or was killed, goes on there.
"""

import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from api.bulk_chunks import SCHEMA, columns_checksum
from api.bulk_formats import CURSOR, Format
from api.streams import END
from data_contracts.errors import InputError, RecsError, UnavailableError
from infra.ask import detail_of

_SECONDS = 60
_LATER = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.BAD_GATEWAY})
_BLOCK = 1 << 20
# As Arrow's stream format ends.
_ARROW_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"


class BrokenError(RecsError):
    """The stream ended before its last record."""


@dataclass(frozen=True)
class Piece:
    """What a chunk adds to the file; then `cursor`, or of the last record what it tells."""

    data: bytes
    checksum: int
    cursor: str = ""
    end: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Standing:
    """How far a file goes: so many whole bytes, up to a cursor, with a checksum; of a pull with these parameters."""

    asked: str
    size: int = 0
    cursor: str = ""
    checksum: int = 0


@dataclass(frozen=True)
class Source:
    """`token` is asked for anew for each try."""

    url: str
    parameters: Mapping[str, Any]
    token: Callable[[], str | None]

    @property
    def asked(self) -> str:
        return urllib.parse.urlencode(self.parameters, doseq=True)

    def opened(self, cursor: str) -> IO[bytes]:
        asked = f"{self.asked}&cursor={cursor}" if cursor else self.asked
        token = self.token()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(f"{self.url}/api/v1/lists?{asked}", headers=headers)  # noqa: S310
        opened: IO[bytes] = urllib.request.urlopen(request, timeout=_SECONDS)  # noqa: S310 - the API's own address
        return opened


def pull(source: Source, out: Path, *, format_: Format, tries: int, wait_seconds: float = 2.0) -> Mapping[str, Any]:
    """What the last record tells. Raises InputError for what the API refuses, UnavailableError after so many tries
    that brought nothing.
    """
    failures = 0
    while True:
        before = _standing(out, source.asked)
        try:
            return _go_on(source, out, format_, before)
        except (OSError, http.client.HTTPException, pa.ArrowException, BrokenError) as error:
            _refuse(error, out)
            failures = failures + 1 if _standing(out, source.asked) == before else 1
            if failures >= tries:
                raise UnavailableError(f"{source.url} broke off {failures} times: {error}; run it again") from error
            time.sleep(wait_seconds * failures)


def _go_on(source: Source, out: Path, format_: Format, standing: Standing) -> Mapping[str, Any]:
    part = _part(out)
    with source.opened(standing.cursor) as body, part.open("r+b" if part.exists() else "w+b") as file:
        if format_ is Format.PARQUET:
            return _whole_parquet(body, file, out)
        file.truncate(standing.size)
        file.seek(standing.size)
        if not standing.size and format_ is Format.ARROW:
            file.write(SCHEMA.serialize())
        pieces = _arrow(body, standing.checksum) if format_ is Format.ARROW else _text(body, standing.checksum)
        for piece in pieces:
            file.write(piece.data)
            if piece.end is not None:
                file.write(_ARROW_END if format_ is Format.ARROW else b"")
                file.flush()
                return _verified(out, piece.end, piece.checksum)
            file.flush()
            standing = replace(standing, size=file.tell(), cursor=piece.cursor, checksum=piece.checksum)
            _keep(out, standing)
    raise BrokenError("the stream ended without its last record")


def _text(body: IO[bytes], checksum: int) -> Iterator[Piece]:
    """NDJSON and CSV: lines up to a record of ours, which is left out."""
    lines: list[bytes] = []
    while line := body.readline():
        cursor, end = _told(line)
        if not cursor and end is None:
            lines.append(line)
            is_head = line.startswith(b"record,")
            checksum = checksum if is_head else zlib.crc32(line, checksum)
            continue
        yield Piece(b"".join(lines), checksum, cursor, end)
        lines = []


def _told(line: bytes) -> tuple[str, Mapping[str, Any] | None]:
    """Of a record of ours, the cursor or the end."""
    if line.startswith((b'{"cursor":', b'{"end":')) and line.endswith(b"}\n"):
        told = json.loads(line)
        return told.get(CURSOR, ""), told.get(END)
    if line.startswith(b"cursor,,,") and line.endswith(b"\r\n"):
        return line.decode().split(",")[3], None
    if line.startswith(b"end,,,") and line.endswith(b"\r\n"):
        quoted = line.decode().removeprefix("end,,,").rstrip(",\r\n")
        return "", json.loads(quoted[1:-1].replace('""', '"'))
    return "", None


def _arrow(body: IO[bytes], checksum: int) -> Iterator[Piece]:
    with pa.ipc.open_stream(body) as stream:
        while True:
            try:
                batch, metadata = stream.read_next_batch_with_custom_metadata()
            except StopIteration:
                return
            told = {key.decode(): value.decode() for key, value in (metadata or {}).items()}
            checksum = columns_checksum(batch, checksum)
            data = bytes(batch.serialize()) if batch.num_rows else b""
            yield Piece(data, checksum, told.get(CURSOR, ""), json.loads(told[END]) if END in told else None)


def _whole_parquet(body: IO[bytes], file: IO[bytes], out: Path) -> Mapping[str, Any]:
    """From its beginning: it has no cursors."""
    file.truncate(0)
    while block := body.read(_BLOCK):
        file.write(block)
    file.flush()
    checksum = 0
    with pq.ParquetFile(_part(out)) as parquet:
        for group in range(parquet.num_row_groups):
            for batch in parquet.read_row_group(group).combine_chunks().to_batches():
                checksum = columns_checksum(batch, checksum)
        end = json.loads(parquet.metadata.metadata[END.encode()])
    return _verified(out, end, checksum)


def _verified(out: Path, end: Mapping[str, Any], checksum: int) -> Mapping[str, Any]:
    if checksum != end["crc32"]:
        _forget(out)
        raise InputError(f"{out}: what came has the checksum {checksum}, not {end['crc32']}: pull it again")
    _part(out).replace(out)
    _forget(out)
    return end


def _refuse(error: Exception, out: Path) -> None:
    """Raises InputError for an answer that will not change; what cannot go on is forgotten."""
    if not isinstance(error, urllib.error.HTTPError) or error.code in _LATER:
        return
    detail = detail_of(error.read())
    if error.code == HTTPStatus.GONE:
        _forget(out)
    raise InputError(f"the API refused the pull: {detail}") from error


def _part(out: Path) -> Path:
    return out.with_name(f"{out.name}.part")


def _kept(out: Path) -> Path:
    return out.with_name(f"{out.name}.part.json")


def _standing(out: Path, asked: str) -> Standing:
    """From the beginning where nothing is kept, or of another pull."""
    try:
        found = Standing(**json.loads(_kept(out).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return Standing(asked)
    is_there = _part(out).exists() and _part(out).stat().st_size >= found.size
    return found if found.asked == asked and is_there else Standing(asked)


def _keep(out: Path, standing: Standing) -> None:
    draft = _kept(out).with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(asdict(standing)), encoding="utf-8")
    draft.replace(_kept(out))


def _forget(out: Path) -> None:
    _part(out).unlink(missing_ok=True)
    _kept(out).unlink(missing_ok=True)
