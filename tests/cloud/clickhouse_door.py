"""A door before a real engine, that knows no users and no TLS: it asks for a password and may show a certificate."""

import base64
import http.client
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REFUSAL = b"Code: 516. DB::Exception: recs: Authentication failed. (AUTHENTICATION_FAILED)"


@dataclass
class Guard:
    """`pair`: files of a certificate and its key, for TLS."""

    password: str
    pair: tuple[str, str] | None = None
    refused: int = 0


@contextmanager
def guarded(engine: str, guard: Guard) -> Iterator[str]:
    """The URL of the door, for user recs."""

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            shown = base64.b64encode(f"recs:{guard.password}".encode()).decode()
            if self.headers.get("Authorization") != f"Basic {shown}":
                guard.refused += 1
                self._answer(403, REFUSAL, {"X-ClickHouse-Exception-Code": "516"})
                return
            inner = http.client.HTTPConnection(engine.removeprefix("http://"))
            inner.request("POST", self.path, body, {**self.headers, "Host": "engine"})
            answer = inner.getresponse()
            kept = {name: value for name, value in answer.getheaders() if name.lower().startswith(("x-", "content-t"))}
            self._answer(answer.status, answer.read(), kept)

        def do_GET(self) -> None:
            self.do_POST()

        def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    if guard.pair is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*guard.pair)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"{'http' if guard.pair is None else 'https'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
