"""A real broker, reached as Managed Kafka is: SCRAM-SHA-512 over TLS, with a certificate of an authority of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from data_contracts.settings import Settings
from data_contracts.topics import DEFINITIONS
from infra.local.embedded import free_port
from infra.local.kafka.broker import broker
from tests.certificates import signed

USER, PASSWORD = "recs-load", "correct horse"


@dataclass(frozen=True)
class Secured:
    """`plain` is the way in for whoever sets it up."""

    plain: str
    address: str
    authority: Path

    def given(self, **more: Any) -> dict[str, Any]:
        """Settings of a client in production."""
        return {
            "kafka_bootstrap": self.address,
            "kafka_user": USER,
            "kafka_password": PASSWORD,
            "kafka_ca_file": self.authority,
            **more,
        }

    def settings(self, **more: Any) -> Settings:
        return Settings(**self.given(**more))

    def environment(self) -> dict[str, str]:
        return {f"RECS_{name.upper()}": str(value) for name, value in self.given().items()}


@contextmanager
def secured_kafka(folder: Path) -> Iterator[Secured]:
    authority = signed("authority")
    ca_file, _ = authority.write(folder, "authority")
    certificate, key = signed("127.0.0.1", authority).write(folder, "broker")
    store = folder / "broker-store.pem"
    store.write_text(Path(key).read_text() + Path(certificate).read_text())
    address = f"127.0.0.1:{free_port()}"
    more = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(store),
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
    }
    with broker(folder / "kafka", port=0, listeners=[f"SASL_SSL://{address}"], more=more) as plain:
        _make_user(plain, PASSWORD)
        yield Secured(plain, address, Path(ca_file))


def _make_user(plain: str, password: str) -> None:
    admin = AdminClient({"bootstrap.servers": plain})
    credentials = UserScramCredentialUpsertion(
        USER, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), password.encode()
    )
    for done in admin.alter_user_scram_credentials([credentials]).values():
        done.result(30)


def small_definitions(folder: Path, *changes: tuple[str, str]) -> Path:
    """The production file for one broker, with few partitions."""
    text = DEFINITIONS.read_text(encoding="utf-8")
    few = [(f"partitions: {many}", "partitions: 6") for many in (48, 12)]
    for old, new in [("replication: 3", "replication: 1"), ("replicas: 2", "replicas: 1"), *few, *changes]:
        assert old in text
        text = text.replace(old, new)
    path = folder / "topics.yaml"
    path.write_text(text, encoding="utf-8")
    return path
