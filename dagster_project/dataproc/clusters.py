"""The cluster of a night: found, else created; deleted when the night ends.

Its name follows from the lake, and names are unique within a folder: who has the cluster has the lake, which is the
lock of a lake in Object Storage. Its label says which night that is, so a restarted night finds its own again.
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from yandex.cloud.dataproc.v1 import cluster_service_pb2 as service
from yandex.cloud.dataproc.v1.cluster_pb2 import Cluster, HadoopConfig
from yandex.cloud.dataproc.v1.common_pb2 import Health, Resources
from yandex.cloud.dataproc.v1.subcluster_pb2 import AutoscalingConfig, Role

from dagster_project.dataproc.api import CloudApi
from dagster_project.dataproc.errors import GoneError, QuotaError, StartError, TakenError
from dagster_project.dataproc.plan import ClusterPlan, Hosts
from data_contracts.errors import RecsError

NIGHT_LABEL = "recs-night"
_PREFIX = "recs-"
_STARTING = {Cluster.CREATING, Cluster.STARTING}
_GIB = 1 << 30
_DELETE_MINUTES = 15


@dataclass(frozen=True)
class Found:
    """A cluster of ours. `night`: the first run of the night that it was made for."""

    cluster_id: str
    name: str
    night: str
    created_at: datetime


class Clusters:
    def __init__(self, api: CloudApi, plan: ClusterPlan) -> None:
        self._api = api
        self._plan = plan

    def ensure(self, *, lake: str, night: str) -> str:
        """The id of the night's running cluster. Raises TakenError while another night has the lake's, QuotaError,
        StartError; what did not start is deleted.
        """
        there = self._named(f"{_PREFIX}{lake}")
        if there is not None and there.labels[NIGHT_LABEL] != night:
            raise _taken(there)
        if there is not None and there.status not in {Cluster.RUNNING, *_STARTING}:
            self.delete(there.id)
            there = None
        try:
            cluster_id, operation_id = (there.id, None) if there else self._create(f"{_PREFIX}{lake}", night)
            self._wait_until_running(cluster_id, operation_id)
        except BaseException:
            with suppress(RecsError):  # the sensor finds what is left then
                self.release(lake=lake, night=night)
            raise
        return cluster_id

    def release(self, *, lake: str, night: str) -> None:
        """Delete the night's cluster, whatever is known of it."""
        there = self._named(f"{_PREFIX}{lake}")
        if there is not None and there.labels[NIGHT_LABEL] == night:
            self.delete(there.id)

    def delete(self, cluster_id: str) -> None:
        """Until it is gone. One that is not there is gone."""
        what = f"deleting cluster {cluster_id}"
        try:
            operation = self._api.clusters("Delete", service.DeleteClusterRequest(cluster_id=cluster_id), what=what)
            until = time.monotonic() + 60 * _DELETE_MINUTES
            while not operation.done and time.monotonic() < until:
                time.sleep(self._plan.poll_seconds)
                operation = self._api.operation(operation.id)
        except GoneError:
            return
        if not operation.done or operation.HasField("error"):
            raise StartError(f"{what}: {operation.error.message or 'it takes too long'}: delete it in the console")

    def is_lost(self, cluster_id: str) -> bool:
        """Preempted, stopped, broken or gone."""
        try:
            cluster = self._get(cluster_id)
        except GoneError:
            return True
        return bool(cluster.status != Cluster.RUNNING or cluster.health == Health.DEAD)

    def ours(self) -> Iterator[Found]:
        """Every cluster of the folder that a night made."""
        for one in self._all():
            if one.name.startswith(_PREFIX) and NIGHT_LABEL in one.labels:
                created = one.created_at.ToDatetime(tzinfo=UTC)
                yield Found(one.id, one.name, one.labels[NIGHT_LABEL], created)

    def _all(self) -> Iterator[Any]:
        request = service.ListClustersRequest(folder_id=self._plan.folder_id)
        return self._api.pages(self._api.clusters, request, "clusters", what="listing clusters")

    def _named(self, name: str) -> Any | None:
        return next((one for one in self._all() if one.name == name), None)

    def _get(self, cluster_id: str) -> Any:
        request = service.GetClusterRequest(cluster_id=cluster_id)
        return self._api.clusters("Get", request, what=f"cluster {cluster_id}")

    def _create(self, name: str, night: str) -> tuple[str, str | None]:
        """Its id, and the operation that makes it where the answer came through."""
        request = create_request(self._plan, name=name, night=night)
        try:
            operation = self._api.clusters("Create", request, what=f"creating cluster {name}", key=str(uuid.uuid4()))
        except TakenError:
            there = self._named(name)  # ours where an answer was lost and the key did not hold
            if there is None or there.labels[NIGHT_LABEL] != night:
                raise
            return there.id, None
        made = service.CreateClusterMetadata()
        operation.metadata.Unpack(made)
        return made.cluster_id, operation.id

    def _wait_until_running(self, cluster_id: str, operation_id: str | None) -> None:
        until = time.monotonic() + 60 * self._plan.start_minutes
        while time.monotonic() < until:
            if operation_id is not None:
                operation = self._api.operation(operation_id)
                if operation.done and operation.HasField("error"):
                    raise _not_started(cluster_id, operation.error.message)
            try:
                status = self._get(cluster_id).status
            except GoneError as error:
                raise _not_started(cluster_id, "it was deleted meanwhile") from error
            if status == Cluster.RUNNING:
                return
            if status not in _STARTING:
                raise _not_started(cluster_id, f"it is {Cluster.Status.Name(status)}")
            time.sleep(self._plan.poll_seconds)
        raise _not_started(cluster_id, f"it has not within {self._plan.start_minutes:g} minutes")


def _taken(cluster: Any) -> TakenError:
    return TakenError(
        f"cluster {cluster.name} ({cluster.id}) belongs to run {cluster.labels[NIGHT_LABEL]}, which has this lake: "
        "wait for it; where that run has ended, the sensor orphaned_clusters deletes it"
    )


def _not_started(cluster_id: str, why: str) -> StartError | QuotaError:
    if "quota" in why.lower() or "not enough resources" in why.lower():
        return QuotaError(f"cluster {cluster_id} did not start: {why}: ask for more quota, or name another zone")
    return StartError(f"cluster {cluster_id} did not start: {why}: look at its events in the cloud's console")


def create_request(plan: ClusterPlan, *, name: str, night: str) -> Any:
    """One master, data hosts that hold HDFS for what is shuffled, compute hosts that may come and go."""
    hosts = [_spec(plan, "master", Role.MASTERNODE, plan.master), _spec(plan, "data", Role.DATANODE, plan.data)]
    if plan.compute is not None:
        hosts.append(_spec(plan, "compute", Role.COMPUTENODE, plan.compute))
    return service.CreateClusterRequest(
        folder_id=plan.folder_id,
        name=name,
        description="a night of recs; deleted when it ends",
        labels={NIGHT_LABEL: night},
        zone_id=plan.zone_id,
        service_account_id=plan.service_account_id,
        autoscaling_service_account_id=plan.service_account_id if plan.compute and plan.compute.max_count else "",
        security_group_ids=plan.security_group_ids,
        log_group_id=plan.log_group_id,
        bucket=plan.bucket,
        config_spec=service.CreateClusterConfigSpec(
            version_id=plan.image,
            hadoop=HadoopConfig(
                services=[HadoopConfig.HDFS, HadoopConfig.YARN, HadoopConfig.SPARK],
                ssh_public_keys=plan.ssh_public_keys,
            ),
            subclusters_spec=hosts,
        ),
    )


def _spec(plan: ClusterPlan, name: str, role: Any, hosts: Hosts) -> Any:
    scaled = AutoscalingConfig(max_hosts_count=hosts.max_count, preemptible=hosts.preemptible)
    return service.CreateSubclusterConfigSpec(
        name=name,
        role=role,
        resources=Resources(resource_preset_id=hosts.preset, disk_type_id=hosts.disk, disk_size=hosts.disk_gb * _GIB),
        subnet_id=plan.subnet_id,
        hosts_count=hosts.count,
        autoscaling_config=scaled if hosts.max_count else None,
    )
