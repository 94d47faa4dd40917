"""ClickHouse's HTTP interface as values: a request becomes a `Query`, an answer or an error becomes a `Response`.

Answers are never compressed: the server is local, and HTTP lets it choose.
Reference: https://clickhouse.com/docs/interfaces/http
"""

import email.parser
import email.policy
import json
import re
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

import pyarrow as pa

from infra.local.clickhouse.engine import Answer, EngineError, Insert, Query

_FORMAT = re.compile(rb"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
# INSERT … [SETTINGS …] FORMAT name, and data from the next line on. Words in quotes are no keywords.
_TEXT = rb"(?:'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|\"(?:[^\"\\]|\\.)*\"|--[^\n]*\n|/\*.*?\*/|[^'`\"])*?"
_INSERT = re.compile(
    rb"(?P<head>\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*INSERT\s" + _TEXT + rb")(?P<settings>\bSETTINGS\b" + _TEXT + rb")?"
    rb"\bFORMAT\s+(?P<format>\w+)[ \t]*(?:\r?\n|$)",
    re.IGNORECASE | re.DOTALL,
)
_SELECTS = re.compile(rb"\bSELECT\b", re.IGNORECASE)
# As ClickHouse's max_query_size: where a statement must have ended and its data begun.
_LONGEST_STATEMENT = 262_144

# Parameters of the HTTP interface itself; the rest of a query string are settings.
_TRANSPORT = frozenset(
    {
        "add_http_cors_header",
        "buffer_size",
        "cancel_http_readonly_queries_on_client_close",
        "client_protocol_version",
        "compress",
        "database",
        "decompress",
        "default_format",
        "enable_http_compression",
        "http_headers_progress_interval_ms",
        "password",
        "query",
        "query_id",
        "quota_key",
        "role",
        "send_progress_in_http_headers",
        "session_check",
        "session_id",
        "session_timeout",
        "stacktrace",
        "user",
        "wait_end_of_query",
    }
)

# pyarrow's name of a Content-Encoding.
_CODECS = {"gzip": "gzip", "lz4": "lz4", "zstd": "zstd", "br": "brotli"}

BAD_ARGUMENTS, NOT_IMPLEMENTED, CANNOT_DECOMPRESS = 36, 48, 271

# HTTP status of an error code, as in ClickHouse's exceptionCodeToHTTPStatus.
_STATUS = {
    **dict.fromkeys((6, 26, 27, 36, 38, 41, 42, 43, 53, 62, 69, 70, 72, 117, 130, 271, 386, 457, 636), 400),
    **dict.fromkeys((164, 497), 403),
    **dict.fromkeys((46, 47, 50, 56, 60, 73, 81, 115), 404),
    **dict.fromkeys((159,), 408),
    **dict.fromkeys((48,), 501),
}


@dataclass(frozen=True)
class Request:
    """`query_string` is raw; header names are in lower case."""

    method: str
    query_string: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Response:
    status: int
    headers: Mapping[str, str]
    body: bytes


def parsed(request: Request) -> Query:
    """What to run. Raises EngineError for what this server does not do."""
    fields = dict(parse_qsl(request.query_string, keep_blank_values=True))
    body = _decoded(request)
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        fields, body = {**fields, **_form(request.headers["content-type"], body)}, b""
    query = fields.get("query", "").rstrip().encode()
    sql = query + b"\n" + body if query and body else query or body
    default_format = fields.get("default_format") or request.headers.get("x-clickhouse-format") or "TabSeparated"
    return Query(
        sql=sql,
        insert=_insert(sql),
        params={name[6:]: value for name, value in fields.items() if name.startswith("param_")},
        settings={
            name: value for name, value in fields.items() if name not in _TRANSPORT and not name.startswith("param_")
        },
        database=fields.get("database") or request.headers.get("x-clickhouse-database") or "default",
        output_format=default_format,
        session=fields.get("session_id") or None,
        read_only=request.method == "GET",
    )


def query_id(request: Request) -> str:
    return dict(parse_qsl(request.query_string)).get("query_id") or str(uuid.uuid4())


def answered(query: Query, answer: Answer) -> Response:
    summary = {
        "read_rows": answer.read_rows,
        "read_bytes": answer.read_bytes,
        "written_rows": answer.written_rows,
        "written_bytes": answer.written_bytes,
        "result_rows": answer.result_rows,
        "result_bytes": len(answer.body),
        "elapsed_ns": int(answer.seconds * 1e9),
    }
    headers = {
        "Content-Type": "text/plain; charset=UTF-8",
        "X-ClickHouse-Summary": json.dumps({name: str(value) for name, value in summary.items()}),
    }
    if answer.body:
        named = _FORMAT.search(query.sql[-256:])
        headers["X-ClickHouse-Format"] = named[1].decode() if named else query.output_format
    return Response(status=200, headers=headers, body=answer.body)


def failed(error: EngineError) -> Response:
    return Response(
        status=_STATUS.get(error.code, 500),
        headers={"Content-Type": "text/plain; charset=UTF-8", "X-ClickHouse-Exception-Code": str(error.code)},
        body=f"{error}\n".encode(),
    )


def _insert(sql: bytes) -> Insert | None:
    """The parts of an INSERT that brings data in a format. VALUES are left to the engine, which reads them well."""
    match = _INSERT.match(sql, 0, _LONGEST_STATEMENT)
    if match is None:
        return None
    data = sql[match.end() :]
    if _SELECTS.search(match["head"]):
        if data.strip():
            raise EngineError(NOT_IMPLEMENTED, "DB::Exception: INSERT SELECT with data, input(). (NOT_IMPLEMENTED)")
        return None
    return Insert(head=match["head"], settings=match["settings"] or b"", input_format=match["format"], data=data)


def _decoded(request: Request) -> bytes:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity" or not request.body:
        return request.body
    try:
        if encoding == "deflate":
            return zlib.decompress(request.body)
        if encoding in _CODECS:
            with pa.input_stream(pa.py_buffer(request.body), compression=_CODECS[encoding]) as stream:
                return bytes(stream.read())
    except (OSError, zlib.error) as error:
        raise EngineError(CANNOT_DECOMPRESS, f"DB::Exception: {encoding} body: {error}. (CANNOT_DECOMPRESS)") from error
    raise EngineError(NOT_IMPLEMENTED, f"DB::Exception: Content-Encoding {encoding}. (NOT_IMPLEMENTED)")


def _form(content_type: str, body: bytes) -> dict[str, str]:
    """Fields of a form: long queries and parameters travel so. External tables are not implemented."""
    parser = email.parser.BytesParser(policy=email.policy.HTTP)
    message = parser.parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    fields = {}
    for part in message.iter_parts():
        if part.get_filename():
            raise EngineError(NOT_IMPLEMENTED, "DB::Exception: External tables. (NOT_IMPLEMENTED)")
        payload = part.get_payload(decode=True)
        name = part.get_param("name", header="content-disposition")
        if isinstance(payload, bytes):
            fields[str(name)] = payload.decode()
    return fields
