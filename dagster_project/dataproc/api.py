"""The calls to the cloud: each with a deadline, asked again while that may help, its errors in our own words.

Of the SDK only its channels, endpoints and tokens are used: its waiting for operations returns an empty answer when it
times out, and it cannot send the key that makes a Create safe to repeat.
"""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from yandex.cloud.dataproc.v1.cluster_service_pb2_grpc import ClusterServiceStub
from yandex.cloud.dataproc.v1.job_service_pb2_grpc import JobServiceStub
from yandex.cloud.operation.operation_service_pb2 import GetOperationRequest
from yandex.cloud.operation.operation_service_pb2_grpc import OperationServiceStub
from yandexcloud import SDK  # type: ignore[attr-defined]

from dagster_project.dataproc.errors import ApiError, is_passing, refusal
from dagster_project.dataproc.plan import ClusterPlan

_FIRST_WAIT, _LONGEST_WAIT = 0.2, 20.0
_PAGE = 100


class CloudApi:
    """Clusters, jobs and operations of a folder. Channels open with the first call."""

    def __init__(self, plan: ClusterPlan, *, token: str = "") -> None:
        self._plan = plan
        self._sdk = SDK(**_identity(plan, token))
        self._stubs: dict[Any, Any] = {}

    def clusters(self, call: str, request: Any, *, what: str, key: str | None = None) -> Any:
        return self._asked(ClusterServiceStub, call, request, what=what, key=key)

    def jobs(self, call: str, request: Any, *, what: str, key: str | None = None) -> Any:
        return self._asked(JobServiceStub, call, request, what=what, key=key)

    def operation(self, operation_id: str) -> Any:
        request = GetOperationRequest(operation_id=operation_id)
        return self._asked(OperationServiceStub, "Get", request, what=f"operation {operation_id}", key=None)

    def pages(self, ask: Callable[..., Any], request: Any, field: str, *, what: str) -> Iterator[Any]:
        """Every entry of a List, page after page."""
        request.page_size = _PAGE
        while True:
            answer = ask("List", request, what=what)
            yield from getattr(answer, field)
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    def _asked(self, service: Any, call: str, request: Any, *, what: str, key: str | None) -> Any:
        """Raises ApiError when nobody answers for `patience_seconds`, else the error of the answer."""
        metadata = (("idempotency-key", key),) if key else ()
        until, wait = time.monotonic() + self._plan.patience_seconds, _FIRST_WAIT
        while True:
            try:
                method = getattr(self._stub(service), call)
                return method(request, timeout=self._plan.call_seconds, metadata=metadata)
            except grpc.RpcError as error:
                if not is_passing(error):
                    raise refusal(error.code(), error.details(), what=what) from error
                if time.monotonic() + wait > until:
                    raise ApiError(
                        f"{what}: Data Proc does not answer ({error.code().name}: {error.details()}): "
                        "look at the cloud's status page and the network; a running job is found again"
                    ) from error
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    def _stub(self, service: Any) -> Any:
        if service not in self._stubs:
            self._stubs[service] = self._sdk.client(service)
        return self._stubs[service]


def key_of(*parts: str) -> str:
    """The same key for the same parts: a Create that is repeated with it is one."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, "\0".join(parts)))


def _identity(plan: ClusterPlan, token: str) -> dict[str, Any]:
    identity: dict[str, Any] = {"endpoint": plan.endpoint} if plan.endpoint else {}
    if plan.root_certificates is not None:
        identity["root_certificates"] = plan.root_certificates.read_bytes()
    if plan.service_account_key is not None:
        identity["service_account_key"] = json.loads(plan.service_account_key.read_text(encoding="utf-8"))
    elif token:
        identity["iam_token"] = token
    return identity
