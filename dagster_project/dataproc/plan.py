"""The file of RECS_DATAPROC: which cluster a night gets, and how long is waited for what. Ids come from Terraform."""

from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from data_contracts.errors import InputError

Seconds = Annotated[float, Field(gt=0)]


class Hosts(BaseModel):
    """Machines of one role. `max_count`: above `count`, so many are added and taken away by load, preemptible ones
    where `preemptible`; only compute hosts may be.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str = Field("s3-c8-m32", description="class of machine, such as s3-c8-m32: 8 cores, 32 GB")
    count: int = Field(1, ge=1)
    max_count: int = Field(0, ge=0)
    preemptible: bool = False
    disk: str = "network-ssd"
    disk_gb: int = Field(128, ge=20)


class ClusterPlan(BaseModel):
    """Everything about clusters that differs between installations."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder_id: str = Field(min_length=1)
    bucket: str = Field(min_length=1, description="of packages, requests and the clusters' own logs; not the lake's")
    standing_cluster_id: str | None = Field(None, description="a cluster that is always there; none: one a night")
    zone_id: str = "ru-central1-d"
    subnet_id: str = ""
    service_account_id: str = ""
    security_group_ids: tuple[str, ...] = ()
    log_group_id: str = ""
    image: str = "2.2"
    ssh_public_keys: tuple[str, ...] = ()
    master: Hosts = Hosts(preset="s3-c4-m16")
    data: Hosts = Hosts()
    compute: Hosts | None = None
    properties: dict[str, str] = Field({}, description="Spark properties of every job")

    patience_seconds: Seconds = Field(600, description="for which an API that does not answer is asked again")
    call_seconds: Seconds = Field(30, description="deadline of one call")
    poll_seconds: Seconds = 5
    start_minutes: Seconds = Field(30, description="within which a cluster must have started")
    job_hours: Seconds = Field(6, description="after which a job is cancelled")
    orphan_minutes: Seconds = Field(15, description="after which a cluster is deleted whose night is not running")
    cluster_hours: Seconds = Field(24, description="after which a cluster is deleted whatever its night does")

    endpoint: str | None = Field(None, description="of the API; default the cloud's own")
    root_certificates: Path | None = None
    service_account_key: Path | None = Field(
        None, description="JSON key; default RECS_DATAPROC_TOKEN, else the machine"
    )

    @model_validator(mode="after")
    def _can_start_one(self) -> Self:
        if self.standing_cluster_id is None and not (self.subnet_id and self.service_account_id):
            raise ValueError("a cluster a night needs subnet_id and service_account_id")
        return self


def read_plan(path: Path | None) -> ClusterPlan:
    """Raises InputError that names the file and what is wrong with it."""
    if path is None:
        raise InputError("RECS_SPARK_RUNNER=dataproc needs RECS_DATAPROC, the file that describes the cluster")
    try:
        return ClusterPlan.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read as YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(f"{path}: {where}: {first['msg']}") from error
