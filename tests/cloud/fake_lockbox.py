"""A stand-in for Lockbox: the cloud's list of endpoints and its service of payloads, over TLS."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from yandex.cloud.endpoint import api_endpoint_pb2, api_endpoint_service_pb2
from yandex.cloud.endpoint.api_endpoint_service_pb2_grpc import (
    ApiEndpointServiceServicer,
    add_ApiEndpointServiceServicer_to_server,
)
from yandex.cloud.lockbox.v1.payload_pb2 import Payload
from yandex.cloud.lockbox.v1.payload_service_pb2_grpc import (
    PayloadServiceServicer,
    add_PayloadServiceServicer_to_server,
)

from tests.certificates import signed

TOKEN = "t1.iam-token"


@dataclass
class Kept:
    """`secrets`: values by key by id; `reads` of them so far; while `is_away`, nobody gets an answer."""

    endpoint: str = ""
    ca_file: str = ""
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    reads: int = 0
    is_away: bool = False

    def settings(self, **more: Any) -> dict[str, Any]:
        return {
            "lockbox_endpoint": self.endpoint,
            "lockbox_ca_file": self.ca_file,
            "lockbox_token": TOKEN,
            "lockbox_seconds": 0.2,
            **more,
        }


class _Endpoints(ApiEndpointServiceServicer):
    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def List(self, request: Any, context: Any) -> Any:
        names = ("iam", "lockbox-payload")
        endpoints = [api_endpoint_pb2.ApiEndpoint(id=name, address=self._kept.endpoint) for name in names]
        return api_endpoint_service_pb2.ListApiEndpointsResponse(endpoints=endpoints)


class _Payloads(PayloadServiceServicer):
    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def Get(self, request: Any, context: Any) -> Payload:
        self._kept.reads += 1
        if self._kept.is_away:
            context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        if ("authorization", f"Bearer {TOKEN}") not in context.invocation_metadata():
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "who are you?")
        if request.secret_id not in self._kept.secrets:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such secret")
        values = self._kept.secrets[request.secret_id]
        return Payload(entries=[Payload.Entry(key=key, text_value=value) for key, value in values.items()])


@contextmanager
def running_lockbox(folder: Path) -> Iterator[Kept]:
    authority = signed("authority")
    ca_file, _ = authority.write(folder, "authority")
    certificate, key = signed("127.0.0.1", authority).write(folder, "lockbox")
    kept = Kept(ca_file=ca_file)
    server = grpc.server(ThreadPoolExecutor(4))
    add_ApiEndpointServiceServicer_to_server(_Endpoints(kept), server)
    add_PayloadServiceServicer_to_server(_Payloads(kept), server)
    pair = (Path(key).read_bytes(), Path(certificate).read_bytes())
    kept.endpoint = f"127.0.0.1:{server.add_secure_port('127.0.0.1:0', grpc.ssl_server_credentials([pair]))}"
    server.start()
    try:
        yield kept
    finally:
        server.stop(None)
