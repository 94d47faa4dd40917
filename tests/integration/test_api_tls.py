"""mTLS and tokens bound to certificates, on the real server with certificates made for the test."""

import asyncio
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from grpc_health.v1 import health_pb2, health_pb2_grpc
from joserfc import jwt
from joserfc.jwk import ECKey

from api.__main__ import tls
from api.grpc import running_grpc
from api.security.guard import thumbprint
from data_contracts.errors import InputError
from data_contracts.recommendation_pb2 import CHANNEL_WEB, RecommendRequest
from data_contracts.recommendation_pb2_grpc import RecommendationServiceStub
from data_contracts.settings import Settings
from data_contracts.vocabulary import Scope
from infra.local.embedded import free_port
from infra.tokens import ensure_issuer
from tests.certificates import Signed, signed

ASKED = {"user_id": "1", "channel": "web"}


@dataclass(frozen=True)
class Running:
    url: str
    probes: str
    settings: Settings
    authority: str
    folder: Path
    clients: dict[str, Signed]

    def ask(self, client: str | None, token: str) -> int:
        trusted = ssl.create_default_context(cafile=self.authority)
        if client is not None:
            trusted.load_cert_chain(*self.clients[client].write(self.folder, client))
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{self.url}/api/v1/recommendations"
        with httpx.Client(verify=trusted, headers=headers) as http:
            return http.get(url, params=ASKED).status_code

    def token(self, bound_to: str | None) -> str:
        key = ECKey.import_key(orjson.loads((self.settings.issuer_dir / "signing.json").read_bytes()))
        claims = {"iss": "recs-local", "aud": "recs", "sub": "app", "scope": Scope.RECOMMENDATIONS_READ}
        claims["exp"] = int(time.time() + 60)  # type: ignore[assignment]
        if bound_to is not None:
            der = self.clients[bound_to].certificate.public_bytes(serialization.Encoding.DER)
            claims["cnf"] = {"x5t#S256": thumbprint(der)}  # type: ignore[assignment]
        return jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("tls")
    authority, stranger = signed("authority"), signed("another authority")
    certificate, key = signed("server", authority).write(folder, "server")
    ca, _ = authority.write(folder, "ca")
    port, probe_port = free_port(), free_port()
    settings = Settings(data_dir=folder, auth="on")
    ensure_issuer(settings)
    environment = {
        **os.environ,
        "RECS_AUTH": "on",
        "RECS_DATA_DIR": str(folder),
        "RECS_API_PORT": str(port),
        "RECS_PROBE_PORT": str(probe_port),
        "RECS_CLICKHOUSE_URL": "http://127.0.0.1:9",
        "RECS_TLS_CERTIFICATE": certificate,
        "RECS_TLS_KEY": key,
        "RECS_TLS_CLIENT_CA": ca,
    }
    with subprocess.Popen([sys.executable, "-m", "api"], env=environment) as process:
        try:
            deadline = time.monotonic() + 60
            while not (_accepts(port) and _accepts(probe_port)):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
            clients = {name: signed(name, authority) for name in ("app", "thief")} | {"stranger": signed("x", stranger)}
            probes = f"http://127.0.0.1:{probe_port}"
            yield Running(f"https://127.0.0.1:{port}", probes, settings, ca, folder, clients)
        finally:
            process.terminate()


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def test_a_client_with_a_certificate_of_the_authority_is_answered(running: Running) -> None:
    assert running.ask("app", running.token(None)) == 200


@pytest.mark.parametrize("client", [None, "stranger"])
def test_nobody_else_gets_as_far_as_a_request(running: Running, client: str | None) -> None:
    with pytest.raises(httpx.TransportError):
        running.ask(client, running.token(None))


def test_a_bound_token_holds_with_its_own_certificate_alone(running: Running) -> None:
    token = running.token("app")
    assert running.ask("app", token) == 200
    assert running.ask("thief", token) == 401


def test_who_has_no_certificate_hears_whether_the_service_lives_and_nothing_else(running: Running) -> None:
    assert httpx.get(f"{running.probes}/healthz").json() == {"status": "ok"}
    assert httpx.get(f"{running.probes}/readyz").json()["tier"] == "static"
    headers = {"Authorization": f"Bearer {running.token(None)}"}
    for path in ("/metrics", "/openapi.json", "/healthz/../metrics", "/console/"):
        assert httpx.get(f"{running.probes}{path}").status_code == 404
    assert httpx.get(f"{running.probes}/api/v1/recommendations", params=ASKED, headers=headers).status_code == 404


def test_over_grpc_the_same_certificates_and_bindings_hold(running: Running) -> None:
    given = running.settings.model_copy(
        update={
            "data_dir": running.folder / "grpc",
            "oauth_jwks": running.settings.jwks_uri,
            "grpc_port": 0,
            "grpc_probe_port": free_port(),
            "clickhouse_url": "http://127.0.0.1:9",
            "tls_certificate": running.folder / "server.pem",
            "tls_key": running.folder / "server.key",
            "tls_client_ca": Path(running.authority),
        }
    )

    async def code(port: int, client: str, token: str) -> Any:
        certificate, key = (Path(path).read_bytes() for path in running.clients[client].write(running.folder, client))
        trusted = grpc.ssl_channel_credentials(Path(running.authority).read_bytes(), key, certificate)
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", trusted) as channel:
            call = RecommendationServiceStub(channel).Recommend(
                RecommendRequest(user_id=1, channel=CHANNEL_WEB), metadata=(("authorization", f"Bearer {token}"),)
            )
            return await call.code()

    async def probed(token: str) -> list[Any]:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{given.grpc_probe_port}") as channel:
            health = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
            call = RecommendationServiceStub(channel).Recommend(
                RecommendRequest(user_id=1, channel=CHANNEL_WEB), metadata=(("authorization", f"Bearer {token}"),)
            )
            return [health.status, await call.code()]

    async def play() -> list[Any]:
        async with running_grpc(given) as port:
            token = running.token("app")
            codes = [await code(port, client, token) for client in ("app", "thief", "stranger")]
            return codes + await probed(token)

    codes = grpc.StatusCode
    healthy = health_pb2.HealthCheckResponse.SERVING
    assert asyncio.run(play()) == [codes.OK, codes.UNAUTHENTICATED, codes.UNAVAILABLE, healthy, codes.UNIMPLEMENTED]


def test_half_a_configuration_is_refused() -> None:
    with pytest.raises(InputError, match="RECS_TLS_CERTIFICATE"):
        tls(Settings(tls_client_ca=Path("ca.pem")))
