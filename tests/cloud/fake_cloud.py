"""A stand-in for the cloud's API: the services that a night calls, over TLS, with faults put in at any call.

It keeps what the documentation promises: cluster names are unique in a folder, a Create that is repeated with its
idempotency key is one, an operation ends later than the call that began it.
"""

import threading
import time
import traceback
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from google.protobuf.message import Message
from yandex.cloud.dataproc.v1 import cluster_service_pb2 as clusters_pb
from yandex.cloud.dataproc.v1 import job_service_pb2 as jobs_pb
from yandex.cloud.dataproc.v1.cluster_pb2 import Cluster
from yandex.cloud.dataproc.v1.cluster_service_pb2_grpc import (
    ClusterServiceServicer,
    add_ClusterServiceServicer_to_server,
)
from yandex.cloud.dataproc.v1.common_pb2 import Health
from yandex.cloud.dataproc.v1.job_pb2 import Job
from yandex.cloud.dataproc.v1.job_service_pb2_grpc import JobServiceServicer, add_JobServiceServicer_to_server
from yandex.cloud.endpoint import api_endpoint_pb2, api_endpoint_service_pb2
from yandex.cloud.endpoint.api_endpoint_service_pb2_grpc import (
    ApiEndpointServiceServicer,
    add_ApiEndpointServiceServicer_to_server,
)
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.operation.operation_service_pb2_grpc import (
    OperationServiceServicer,
    add_OperationServiceServicer_to_server,
)

_ENDED = {Job.DONE, Job.ERROR, Job.CANCELLED}
# Runs a job in its folder, printing to the file; whether it went well. The event asks it to end.
Execute = Callable[[Job, Path, threading.Event], bool]


@dataclass(frozen=True)
class Fault:
    """At the `nth` call of a method, for `times` calls: an answer of this code, before anything is done, or, where it
    is `lost`, after.
    """

    method: str
    code: grpc.StatusCode
    nth: int = 1
    times: int = 1
    lost: bool = False

    def holds(self, method: str, count: int) -> bool:
        return method == self.method and self.nth <= count < self.nth + self.times


@dataclass
class Cloud:
    """What there is. `created` counts what was ever made, by name. `broken_starts`: clusters that will not come up."""

    execute: Execute
    folder: Path
    faults: list[Fault] = field(default_factory=list)
    clusters: dict[str, Cluster] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    created: Counter[str] = field(default_factory=Counter)
    broken_starts: list[str] = field(default_factory=list)
    on_running: list[Callable[[Job], None]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    stops: dict[str, threading.Event] = field(default_factory=dict)
    _by_key: dict[str, str] = field(default_factory=dict)

    def repeated(self, key: str | None) -> Operation | None:
        return self.operations.get(self._by_key.get(key or "", ""))

    def begin(self, metadata: Message, *, key: str | None) -> Operation:
        operation = Operation(id=f"op-{uuid.uuid4().hex[:8]}", done=False)
        operation.metadata.Pack(metadata)
        self.operations[operation.id] = operation
        if key:
            self._by_key[key] = operation.id
        return operation

    def preempt(self, cluster_id: str) -> None:
        """Its hosts are taken away: the jobs end, and it is dead."""
        with self.lock:
            self.clusters[cluster_id].health = Health.DEAD
            self.clusters[cluster_id].status = Cluster.STOPPED
            for job in self.jobs.values():
                if job.cluster_id == cluster_id and job.status not in _ENDED:
                    self.stops[job.id].set()

    def standing(self, cluster_id: str, *, folder: str) -> str:
        """A cluster that no night made."""
        cluster = Cluster(id=cluster_id, folder_id=folder, name=cluster_id, status=Cluster.RUNNING, health=Health.ALIVE)
        self.clusters[cluster_id] = cluster
        return cluster_id


class _Faults(grpc.ServerInterceptor):
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        handler = continuation(details)
        service, _, call = details.method.rpartition("/")
        method = f"{service.rpartition('.')[2].removesuffix('Service')}.{call}"

        def behave(request: Any, context: Any) -> Any:
            with self._cloud.lock:
                self._cloud.calls[method] += 1
                count = self._cloud.calls[method]
            fault = next((one for one in self._cloud.faults if one.holds(method, count)), None)
            answer = handler.unary_unary(request, context) if fault is None or fault.lost else None
            if fault is not None:
                context.abort(fault.code, "injected")
            return answer

        return grpc.unary_unary_rpc_method_handler(behave, handler.request_deserializer, handler.response_serializer)


class _Endpoints(ApiEndpointServiceServicer):
    def __init__(self) -> None:
        self.address = ""

    def List(self, request: Any, context: Any) -> Any:
        names = ("iam", "operation", "dataproc")
        endpoints = [api_endpoint_pb2.ApiEndpoint(id=name, address=self.address) for name in names]
        return api_endpoint_service_pb2.ListApiEndpointsResponse(endpoints=endpoints)


class _Operations(OperationServiceServicer):
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def Get(self, request: Any, context: Any) -> Operation:
        with self._cloud.lock:
            operation = self._cloud.operations[request.operation_id]
            if not operation.done:
                _proceed(self._cloud, operation)
            return operation


def _proceed(cloud: Cloud, operation: Operation) -> None:
    """What an operation began comes to be when somebody looks at it."""
    operation.done = True
    made, deleted = clusters_pb.CreateClusterMetadata(), clusters_pb.DeleteClusterMetadata()
    if operation.metadata.Unpack(made) and made.cluster_id in cloud.clusters:
        cluster = cloud.clusters[made.cluster_id]
        if cloud.broken_starts:
            operation.error.code, operation.error.message = 9, cloud.broken_starts.pop(0)
            cluster.status = Cluster.ERROR
        else:
            cluster.status, cluster.health = Cluster.RUNNING, Health.ALIVE
    elif operation.metadata.Unpack(deleted):
        cloud.clusters.pop(deleted.cluster_id, None)


def _key(context: Any) -> str | None:
    return dict(context.invocation_metadata()).get("idempotency-key")


class _Clusters(ClusterServiceServicer):
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def Create(self, request: Any, context: Any) -> Operation:
        with self._cloud.lock:
            if (again := self._cloud.repeated(_key(context))) is not None:
                return again
            if any(one.name == request.name for one in self._cloud.clusters.values()):
                context.abort(grpc.StatusCode.ALREADY_EXISTS, f"cluster {request.name} exists")
            cluster = Cluster(
                id=f"c-{uuid.uuid4().hex[:8]}",
                folder_id=request.folder_id,
                name=request.name,
                labels=request.labels,
                status=Cluster.CREATING,
            )
            cluster.created_at.GetCurrentTime()
            self._cloud.clusters[cluster.id] = cluster
            self._cloud.created[cluster.name] += 1
            return self._cloud.begin(clusters_pb.CreateClusterMetadata(cluster_id=cluster.id), key=_key(context))

    def Get(self, request: Any, context: Any) -> Cluster:
        return _found(self._cloud.clusters, request.cluster_id, context)

    def List(self, request: Any, context: Any) -> Any:
        found = [one for one in self._cloud.clusters.values() if one.folder_id == request.folder_id]
        start = int(request.page_token or 0)  # pages of one, so that every List turns a page
        following = str(start + 1) if start + 1 < len(found) else ""
        return clusters_pb.ListClustersResponse(clusters=found[start : start + 1], next_page_token=following)

    def Delete(self, request: Any, context: Any) -> Operation:
        with self._cloud.lock:
            _found(self._cloud.clusters, request.cluster_id, context)
            for job in self._cloud.jobs.values():
                if job.cluster_id == request.cluster_id:
                    self._cloud.stops[job.id].set()
            return self._cloud.begin(clusters_pb.DeleteClusterMetadata(cluster_id=request.cluster_id), key=None)


class _Jobs(JobServiceServicer):
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def Create(self, request: Any, context: Any) -> Operation:
        with self._cloud.lock:
            if (again := self._cloud.repeated(_key(context))) is not None:
                return again
            _found(self._cloud.clusters, request.cluster_id, context)
            job = Job(
                id=f"j-{uuid.uuid4().hex[:8]}",
                cluster_id=request.cluster_id,
                name=request.name,
                status=Job.PENDING,
                pyspark_job=request.pyspark_job,
            )
            self._cloud.jobs[job.id] = job
            self._cloud.created[job.name] += 1
            self._cloud.stops[job.id] = threading.Event()
            threading.Thread(target=self._work, args=(job,), daemon=True).start()
            made = jobs_pb.CreateJobMetadata(cluster_id=job.cluster_id, job_id=job.id)
            return self._cloud.begin(made, key=_key(context))

    def Get(self, request: Any, context: Any) -> Job:
        _found(self._cloud.clusters, request.cluster_id, context)
        return _found(self._cloud.jobs, request.job_id, context)

    def List(self, request: Any, context: Any) -> Any:
        _found(self._cloud.clusters, request.cluster_id, context)
        jobs = [one for one in self._cloud.jobs.values() if one.cluster_id == request.cluster_id]
        return jobs_pb.ListJobsResponse(jobs=jobs)

    def ListLog(self, request: Any, context: Any) -> Any:
        """Pages of 1,000 characters; the last one grows while the job runs."""
        path = self._log(request.job_id)
        if not path.exists():
            context.abort(grpc.StatusCode.NOT_FOUND, "no log yet")
        text, start = path.read_text(errors="replace"), int(request.page_token or 0)
        following = str(start + 1000) if start + 1000 < len(text) else ""
        return jobs_pb.ListJobLogResponse(content=text[start : start + 1000], next_page_token=following)

    def Cancel(self, request: Any, context: Any) -> Operation:
        job = _found(self._cloud.jobs, request.job_id, context)
        self._cloud.stops[job.id].set()
        return self._cloud.begin(jobs_pb.CreateJobMetadata(job_id=job.id), key=None)

    def _log(self, job_id: str) -> Path:
        return self._cloud.folder / f"{job_id}.log"

    def _work(self, job: Job) -> None:
        job.status = Job.RUNNING
        stop = self._cloud.stops[job.id]
        for notice in self._cloud.on_running:
            notice(job)
        try:
            went_well = False if stop.is_set() else self._cloud.execute(job, self._log(job.id), stop)
        except Exception:
            went_well = False
            self._log(job.id).write_text(traceback.format_exc())
        job.status = Job.CANCELLED if stop.is_set() else Job.DONE if went_well else Job.ERROR


def _found(things: dict[str, Any], one: str, context: Any) -> Any:
    if one not in things:
        context.abort(grpc.StatusCode.NOT_FOUND, f"{one} is not there")
    return things[one]


@contextmanager
def serving(cloud: Cloud) -> Iterator[str]:
    """Its address, `localhost:port`; its certificate is `cloud.folder / "ca.pem"`."""
    key, certificate = _certificate()
    (cloud.folder / "ca.pem").write_bytes(certificate)
    server = grpc.server(ThreadPoolExecutor(8), interceptors=[_Faults(cloud)])
    endpoints = _Endpoints()
    add_ApiEndpointServiceServicer_to_server(endpoints, server)
    add_OperationServiceServicer_to_server(_Operations(cloud), server)
    add_ClusterServiceServicer_to_server(_Clusters(cloud), server)
    add_JobServiceServicer_to_server(_Jobs(cloud), server)
    port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([(key, certificate)]))
    endpoints.address = f"localhost:{port}"
    server.start()
    try:
        yield endpoints.address
    finally:
        for stop in cloud.stops.values():
            stop.set()
        server.stop(0).wait()
        until = time.monotonic() + 30
        while any(job.status not in _ENDED for job in cloud.jobs.values()) and time.monotonic() < until:
            time.sleep(0.05)


def _certificate() -> tuple[bytes, bytes]:
    """Key and certificate of `localhost`, its own authority, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, certificate.public_bytes(serialization.Encoding.PEM)
