"""Kafka's topics brought to their definitions: what is there is asked, what differs is changed, losses are refused."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
)

from data_contracts.errors import InputError, UnavailableError
from data_contracts.kafka import client_config, topics_there
from data_contracts.settings import Settings
from data_contracts.topics import DEFINITIONS, Difference, Effect, Topic, differences, wanted_topics

_SECONDS = 30.0
_REFUSED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "this user may not: give it the right, or ask who has it",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "this user may not: give it the right, or ask who has it",
    KafkaError.INVALID_REPLICATION_FACTOR: "there are fewer brokers than that: correct the file",
    KafkaError.INVALID_CONFIG: "the broker does not take this value: correct the file",
    KafkaError.INVALID_PARTITIONS: "the broker does not take this number: correct the file",
    KafkaError.POLICY_VIOLATION: "the broker's policy forbids it: correct the file",
}


def plan_topics(settings: Settings, file: Path = DEFINITIONS) -> tuple[Difference, ...]:
    """Raises InputError for a broken file, UnavailableError without Kafka."""
    wanted = wanted_topics(file)
    return differences(wanted, _found(_admin(settings), settings, [topic.name for topic in wanted]))


def apply_plan(
    settings: Settings, plan: Sequence[Difference], wanted: Sequence[Topic], *, may_lose: frozenset[str] = frozenset()
) -> None:
    """Everything or, by InputError, nothing of a plan. What somebody else did meanwhile is no error."""
    refused = [one for one in plan if _is_refused(one, may_lose)]
    if refused:
        told = "; ".join(
            f"{one.topic} {one.what} {one.found} -> {one.wanted} {one.effect}: {one.advice}" for one in refused
        )
        raise InputError(f"nothing was applied. {told}. What may be lost is named by --allow-loss TOPIC")
    admin, by_name = _admin(settings), {topic.name: topic for topic in wanted}
    made = [_new(by_name[one.topic]) for one in plan if one.effect is Effect.MAKE]
    grown = [NewPartitions(one.topic, int(one.wanted)) for one in plan if one.what == "partitions"]
    changed = {one.topic for one in plan if one.effect is not Effect.MAKE and one.what in by_name[one.topic].config}
    if made:
        _all(admin.create_topics(made), settings, but=KafkaError.TOPIC_ALREADY_EXISTS)
    if grown:
        _all(admin.create_partitions(grown), settings)
    if changed:
        _all(admin.incremental_alter_configs([_configured(by_name[name]) for name in sorted(changed)]), settings)


def _is_refused(one: Difference, may_lose: frozenset[str]) -> bool:
    return one.effect is Effect.IMPOSSIBLE or (one.effect is Effect.LOSES and one.topic not in may_lose)


def _new(topic: Topic) -> NewTopic:
    return NewTopic(topic.name, topic.partitions, topic.replication, config=dict(topic.config))


def _configured(topic: Topic) -> ConfigResource:
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in topic.config.items()
    ]
    return ConfigResource(ConfigResource.Type.TOPIC, topic.name, incremental_configs=entries)


def _found(admin: Any, settings: Settings, names: Sequence[str]) -> dict[str, Topic]:
    there = _asked(settings, lambda: topics_there(admin, seconds=_SECONDS))
    resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names if name in there]
    described = _all(admin.describe_configs(resources), settings) if resources else {}
    return {
        resource.name: Topic(
            resource.name,
            len(there[resource.name].partitions),
            min(len(one.replicas) for one in there[resource.name].partitions.values()),
            {name: entry.value for name, entry in config.items()},
        )
        for resource, config in described.items()
    }


def _all(futures: dict[Any, Any], settings: Settings, *, but: int | None = None) -> dict[Any, Any]:
    """Results by what they are of, when all have come."""
    return {of: _asked(settings, partial(future.result, _SECONDS), but=but) for of, future in futures.items()}


def _asked(settings: Settings, ask: Callable[[], Any], *, but: int | None = None) -> Any:
    """Kafka's errors in our words; one of the code `but` is none."""
    try:
        return ask()
    except KafkaException as error:
        told = error.args[0]
        if told.code() == but:
            return None
        if told.code() in _REFUSED:
            raise InputError(f"Kafka refused: {told.str()}: {_REFUSED[told.code()]}") from error
        raise UnavailableError(
            f"Kafka at {settings.kafka_bootstrap} (RECS_KAFKA_BOOTSTRAP): {told.str()}: topics that were not made yet "
            "are made by the same command"
        ) from error


def _admin(settings: Settings) -> Any:
    return AdminClient(client_config(settings))
