"""`python -m api`: the service with the settings' port, and TLS where a certificate is set.

With RECS_TLS_CLIENT_CA only clients with a certificate of that authority are let in (mTLS), and a token that is bound
to a certificate (RFC 8705) holds in its presence alone.
"""

import asyncio
import ssl
import sys
from asyncio import BaseTransport
from contextlib import suppress
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

import api.lean  # noqa: F401
from api.probes import serve_with_probes
from api.tls import TlsFiles
from data_contracts.settings import Settings

_NOT_STARTED = 3


class CertificateProtocol(HttpToolsProtocol):
    """Shows the application the client's certificate, as the ASGI extension `tls` names it; uvicorn itself does not."""

    _certificate: bytes | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(cast("Any", transport))
        connection = transport.get_extra_info("ssl_object")
        self._certificate = connection.getpeercert(binary_form=True) if connection else None

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._certificate is not None:
            cast("Any", self.scope)["extensions"] = {"tls": {"client_cert": self._certificate}}


def tls(settings: Settings) -> dict[str, Any]:
    """What uvicorn is told of TLS. Raises InputError for half a configuration."""
    files = TlsFiles.of(settings)
    if files is None:
        return {}
    told: dict[str, Any] = {"ssl_certfile": files.certificate, "ssl_keyfile": files.key}
    if files.client_ca is not None:
        told |= {"ssl_ca_certs": str(files.client_ca), "ssl_cert_reqs": ssl.CERT_REQUIRED}
    return told


def main() -> None:
    from api.main import app  # noqa: PLC0415 (which makes the application)

    settings = Settings()
    config = uvicorn.Config(
        app,
        host=settings.api_host,
        port=settings.api_port,
        http=CertificateProtocol,
        access_log=False,
        log_config=None,
        server_header=False,
        **tls(settings),
    )
    server = uvicorn.Server(config)
    with suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(serve_with_probes(server, app, settings))
    if not server.started:
        sys.exit(_NOT_STARTED)


if __name__ == "__main__":
    main()
