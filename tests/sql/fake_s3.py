"""As much of S3 as reading a snapshot needs: one bucket, `lake`, over a folder."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

_LIST = '<?xml version="1.0"?><ListBucketResult><Name>lake</Name><IsTruncated>false</IsTruncated>{}</ListBucketResult>'
_ENTRY = "<Contents><Key>{key}</Key><Size>{size}</Size><LastModified>2026-01-01T00:00:00Z</LastModified></Contents>"


@contextmanager
def serving_bucket(folder: Path) -> Iterator[str]:
    """The endpoint, while the block lasts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"folder": folder}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    folder: Path
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        bucket, _, key = unquote(url.path).strip("/").partition("/")
        if bucket == "lake" and not key:
            self._answer(200, self._listing(parse_qs(url.query).get("prefix", [""])[0]))
        elif bucket == "lake" and (self.folder / key).is_file():
            self._object((self.folder / key).read_bytes())
        else:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _object(self, content: bytes) -> None:
        asked = self.headers.get("Range")
        if asked is None:
            self._answer(200, content)
            return
        first, _, last = asked.removeprefix("bytes=").partition("-")
        end = min(int(last) if last else len(content) - 1, len(content) - 1)
        self._answer(206, content[int(first) : end + 1], f"bytes {first}-{end}/{len(content)}")

    def _listing(self, prefix: str) -> bytes:
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        keys = [(path.relative_to(self.folder).as_posix(), path.stat().st_size) for path in files]
        return _LIST.format(
            "".join(_ENTRY.format(key=key, size=size) for key, size in keys if key.startswith(prefix))
        ).encode()

    def _answer(self, status: int, body: bytes, content_range: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.send_header("ETag", '"fake"')
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)
