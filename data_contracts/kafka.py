"""How Kafka is reached: the one place that turns settings into a client's configuration."""

from typing import Any

from data_contracts.settings import Settings


def client_config(settings: Settings) -> dict[str, Any]:
    """For any client of confluent-kafka; encrypted and authenticated where a user is given."""
    config: dict[str, Any] = {
        "bootstrap.servers": settings.kafka_bootstrap,
        "client.id": "recs",
        # The client writes a line for each attempt to connect, many a second: what matters is raised or logged by us.
        "log_level": 2,
        "reconnect.backoff.ms": 500,
    }
    if settings.kafka_user:
        config |= {
            "security.protocol": "SASL_SSL",
            "sasl.mechanisms": "SCRAM-SHA-512",
            "sasl.username": settings.kafka_user,
            "sasl.password": settings.kafka_password.get_secret_value(),
        }
    if settings.kafka_ca_file:
        config["ssl.ca.location"] = str(settings.kafka_ca_file)
    return config
