"""What Kafka's topics should be, as a file says, and how far a broker is from it. Pure: nothing here asks a broker."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data_contracts.errors import InputError
from data_contracts.events.schemas import DEAD_LETTERS, TOPICS

DEFINITIONS = Path(__file__).parent / "events" / "topics.yaml"
_DAY_MS = 86_400_000
_FOR_EVER = -1


class _Kept(BaseModel):
    """How one topic is kept. `retention_days` 0: for good."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    partitions: Annotated[int, Field(ge=1, le=10_000)]
    retention_days: Annotated[float, Field(ge=0)]
    cleanup: Literal["delete", "compact", "compact,delete"] = "delete"
    max_message_bytes: Annotated[int, Field(ge=1_024)] | None = None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    replication: Annotated[int, Field(ge=1, le=15)]
    min_insync_replicas: Annotated[int, Field(ge=1)]
    topics: dict[str, _Kept]
    dead_letters: _Kept


@dataclass(frozen=True)
class Topic:
    """A topic as it is or should be; `config` in Kafka's own names and words."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]


class Effect(StrEnum):
    """What making a difference go away does."""

    MAKE = "make"
    CHANGE = "change"
    LOSES = "would lose data"
    IMPOSSIBLE = "not possible"


@dataclass(frozen=True)
class Difference:
    """`what` is `topic`, `partitions`, `replication` or the name of a topic's configuration."""

    topic: str
    what: str
    found: str
    wanted: str
    effect: Effect
    advice: str = ""


def wanted_topics(path: Path = DEFINITIONS) -> tuple[Topic, ...]:
    """Every topic of events, and its dead letters. Raises InputError for a file that is missing, broken or partial."""
    try:
        file = _File.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        raise InputError(f"{path} defines no topics: {' '.join(str(error).split())[:500]}") from error
    if set(file.topics) != set(TOPICS):
        unknown, missing = sorted(set(file.topics) - set(TOPICS)), sorted(set(TOPICS) - set(file.topics))
        raise InputError(
            f"{path}: no events have these topics: {', '.join(unknown) or 'none'}; "
            f"these are not defined: {', '.join(missing) or 'none'}"
        )
    if file.min_insync_replicas > file.replication:
        raise InputError(
            f"{path}: min_insync_replicas {file.min_insync_replicas} of {file.replication} could never be written"
        )
    events = (_topic(name, kept, file) for name, kept in sorted(file.topics.items()))
    dead = (_topic(name + DEAD_LETTERS, file.dead_letters, file) for name in sorted(file.topics))
    return (*events, *dead)


def _topic(name: str, kept: _Kept, file: _File) -> Topic:
    config = {
        "cleanup.policy": kept.cleanup,
        "retention.ms": str(int(kept.retention_days * _DAY_MS) or _FOR_EVER),
        "min.insync.replicas": str(file.min_insync_replicas),
    }
    if kept.max_message_bytes is not None:
        config["max.message.bytes"] = str(kept.max_message_bytes)
    return Topic(name, kept.partitions, file.replication, config)


def differences(wanted: Iterable[Topic], found: Mapping[str, Topic]) -> tuple[Difference, ...]:
    """What would have to be done, topic by topic; nothing about topics that nobody wants."""
    every: list[Difference] = []
    for topic in wanted:
        there = found.get(topic.name)
        if there is None:
            described = ", ".join(f"{name}={value}" for name, value in topic.config.items())
            made = f"{topic.partitions} partitions × {topic.replication}, {described}"
            every.append(Difference(topic.name, "topic", "", made, Effect.MAKE))
        else:
            every += [*_shape(topic, there), *_configuration(topic, there)]
    return tuple(every)


def _shape(wanted: Topic, found: Topic) -> Iterator[Difference]:
    def differs(what: str, is_now: int, to_be: int, effect: Effect, advice: str) -> Difference:
        return Difference(wanted.name, what, str(is_now), str(to_be), effect, advice)

    if found.partitions < wanted.partitions:
        advice = "users move to other partitions: repeats of an event may land twice until then; ingest keeps one"
        yield differs("partitions", found.partitions, wanted.partitions, Effect.CHANGE, advice)
    elif found.partitions > wanted.partitions:
        advice = "partitions cannot be taken away: put the number found into the file"
        yield differs("partitions", found.partitions, wanted.partitions, Effect.IMPOSSIBLE, advice)
    if found.replication != wanted.replication:
        advice = "move replicas with kafka-reassign-partitions or in the cloud's console, or correct the file"
        yield differs("replication", found.replication, wanted.replication, Effect.IMPOSSIBLE, advice)


def _configuration(wanted: Topic, found: Topic) -> Iterator[Difference]:
    for name, value in wanted.config.items():
        is_now = found.config.get(name, "")
        if is_now != value:
            lost = _LOST[name](is_now, value) if name in _LOST else ""
            yield Difference(wanted.name, name, is_now, value, Effect.LOSES if lost else Effect.CHANGE, lost)


def _shorter(found: str, wanted: str) -> str:
    is_shorter = int(wanted) != _FOR_EVER and (int(found) == _FOR_EVER or int(wanted) < int(found))
    return "the broker deletes what is older at once" if is_shorter else ""


def _weaker(found: str, wanted: str) -> str:
    return "fewer brokers would hold what was taken" if int(wanted) < int(found) else ""


def _otherwise(found: str, wanted: str) -> str:
    return f"the broker deletes by {wanted} what it kept by {found}"


# What a change of a setting deletes, or "" for nothing.
_LOST: Mapping[str, Callable[[str, str], str]] = {
    "retention.ms": _shorter,
    "min.insync.replicas": _weaker,
    "cleanup.policy": _otherwise,
}
