"""An Object Storage and a cloud: moto's S3 server as a process, the API on a port of its own."""

import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from pyarrow import fs

from dagster_project.files import file_system
from data_contracts.settings import Settings
from tests.cloud.fake_cloud import Cloud, Execute, serving

FOLDER = "b1folder"
_AWS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "ru-central1"}
QUICK = {"poll_seconds": 0.02, "patience_seconds": 3, "call_seconds": 5, "start_minutes": 0.2}


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint; the variables of this process name it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("s3") / "log"
    with log.open("wb") as output, pytest.MonkeyPatch.context() as patch:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        server = subprocess.Popen(command, stdout=output, stderr=output)
        url = f"http://127.0.0.1:{port}"
        for name, value in {**_AWS, "AWS_DEFAULT_REGION": _AWS["AWS_REGION"], "AWS_ENDPOINT_URL": url}.items():
            patch.setenv(name, value)
        try:
            _wait_for(port, server)
            yield url
        finally:
            server.terminate()
            server.wait()


@pytest.fixture
def bucket(storage: str) -> str:
    """An empty one."""
    return _new_bucket(storage, f"lake-{uuid.uuid4().hex[:8]}")


@pytest.fixture(scope="session")
def jobs_bucket(storage: str) -> str:
    """One for all tests: packages are the same for all."""
    return _new_bucket(storage, "jobs")


def _new_bucket(storage: str, name: str) -> str:
    place: Any = {"LocationConstraint": _AWS["AWS_REGION"]}
    boto3.client("s3", endpoint_url=storage).create_bucket(Bucket=name, CreateBucketConfiguration=place)
    return name


Starts = Callable[..., tuple[Cloud, Settings]]


@pytest.fixture
def start_cloud(tmp_path: Path, bucket: str, jobs_bucket: str) -> Iterator[Starts]:
    """A cloud that executes jobs so, and the settings of a night that uses it."""
    with ExitStack() as stack:

        def start(execute: Execute, *, plan: dict[str, Any] | None = None, **settings: Any) -> tuple[Cloud, Settings]:
            folder = tmp_path / "cloud"
            folder.mkdir()
            cloud = Cloud(execute, folder)
            address = stack.enter_context(serving(cloud))
            written = {
                "folder_id": FOLDER,
                "bucket": jobs_bucket,
                "subnet_id": "net",
                "service_account_id": "account",
                "endpoint": address,
                "root_certificates": str(folder / "ca.pem"),
                **QUICK,
                **(plan or {}),
            }
            (folder / "dataproc.yaml").write_text(yaml.safe_dump(written))
            return cloud, Settings(
                data_dir=tmp_path / "data",
                lake=f"s3a://{bucket}/lake",
                spark_runner="dataproc",
                dataproc=folder / "dataproc.yaml",
                dataproc_token="token",
                mlflow_url=f"sqlite:///{tmp_path / 'mlflow.db'}",
                retry_seconds=0.01,
                **settings,
            )

        yield start


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError("moto's server does not come up")


def files_below(uri: str) -> list[str]:
    system, path = file_system(uri)
    infos = system.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True))
    return sorted(info.path for info in infos if info.type == fs.FileType.File)


def put_folder(folder: Path, uri: str) -> None:
    """Its files, with a request each."""
    bucket, _, prefix = uri.removeprefix("s3a://").partition("/")
    client = boto3.client("s3")
    for path in folder.rglob("*"):
        if path.is_file():
            client.upload_file(str(path), bucket, f"{prefix}/{path.relative_to(folder).as_posix()}")
