"""Every replica is verified before the pointer moves, by TLS as in production; here each is an engine of its own."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from dagster_project.assets.publish import load_verified
from data_contracts.errors import GateError, UnavailableError
from infra.local.clickhouse.running import running_clickhouse
from sql.client import Address, connected
from sql.load import load
from sql.migrate import migrate
from sql.pointer import current, publish
from tests.certificates import signed
from tests.cloud.clickhouse_door import Guard, guarded
from tests.sql.snapshots import write_snapshot

ID = "2026-03-16.1"


@dataclass(frozen=True)
class Cluster:
    address: Address
    folder: Path

    def publish(self, *replicas: str) -> None:
        address = replace(self.address, replicas=replicas or self.address.replicas)
        with connected(address) as store:
            load_verified(store, snapshot_uri=str(self.folder))
            publish(store, ID, actor="test")

    def served(self) -> str | None:
        with connected(self.address) as store:
            return current(store)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three servers that hold the same snapshot, as replication would have it."""
    folder = tmp_path_factory.mktemp("cluster")
    authority = signed("authority")
    ca_file, _ = authority.write(folder, "authority")
    pair = signed("127.0.0.1", authority).write(folder, "server")
    write_snapshot(folder / ID, snapshot_id=ID)
    with ExitStack() as stack:
        urls = []
        for number in range(3):
            engine = stack.enter_context(running_clickhouse(folder / f"engine-{number}"))
            urls.append(stack.enter_context(guarded(engine, Guard("secret", pair))))
        one = Address(urls[0], user="recs", secret=SecretStr("secret"), ca_file=Path(ca_file), replicas=tuple(urls))
        for url in urls:
            migrate(replace(one, url=url))
            with connected(replace(one, url=url)) as store:
                load(store, snapshot_uri=str(folder / ID))
        yield Cluster(one, folder / ID)


def test_a_replica_that_lacks_rows_keeps_the_pointer_where_it_is_and_is_named(cluster: Cluster) -> None:
    third = cluster.address.replicas[2]
    with connected(replace(cluster.address, url=third)) as store:
        store.run("items_v1/drop", snapshot_id=ID)
    with pytest.raises(GateError, match=rf"items has 0 rows instead of \d+ on replica {third}"):
        cluster.publish()
    assert cluster.served() is None
    with connected(replace(cluster.address, url=third)) as store:
        load(store, snapshot_uri=str(cluster.folder))
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1 does not answer"):
        cluster.publish(*cluster.address.replicas[:2], "https://127.0.0.1:1")
    assert cluster.served() is None
    cluster.publish()
    assert cluster.served() == ID


def test_a_server_of_another_authority_is_not_spoken_to(cluster: Cluster, tmp_path: Path) -> None:
    stranger, _ = signed("another authority").write(tmp_path, "another")
    with (
        pytest.raises(UnavailableError, match="certificate verify failed"),
        connected(replace(cluster.address, ca_file=Path(stranger))),
    ):
        pass
