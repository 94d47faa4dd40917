"""What topics should be and how far a broker is from it: growth is a change, what loses data or cannot be is said."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.errors import InputError
from data_contracts.events.schemas import DEAD_LETTERS, TOPICS
from data_contracts.topics import DEFINITIONS, Effect, Topic, differences, wanted_topics

DAY = 86_400_000
ONE = Topic("t", 6, 3, {"cleanup.policy": "delete", "retention.ms": str(7 * DAY), "min.insync.replicas": "2"})


def effects(wanted: Topic, found: Topic) -> dict[str, Effect]:
    return {one.what: one.effect for one in differences([wanted], {found.name: found})}


def with_config(**changes: str) -> Topic:
    return replace(ONE, config={**ONE.config, **{name.replace("_", "."): value for name, value in changes.items()}})


def test_every_topic_of_events_is_defined_with_its_dead_letters_and_none_is_compacted() -> None:
    topics = wanted_topics()
    assert {topic.name for topic in topics} == {*TOPICS, *(topic + DEAD_LETTERS for topic in TOPICS)}
    # Keyed by user, a compacted topic would keep one event of each.
    assert {topic.config["cleanup.policy"] for topic in topics} == {"delete"}
    assert all(topic.replication > int(topic.config["min.insync.replicas"]) for topic in topics)


def test_a_topic_that_is_as_wanted_differs_in_nothing_and_an_absent_one_is_made() -> None:
    assert effects(ONE, ONE) == {}
    assert [one.effect for one in differences([ONE], {})] == [Effect.MAKE]


def test_growth_is_a_change_and_shrinking_is_said_to_be_impossible() -> None:
    assert effects(replace(ONE, partitions=12), ONE) == {"partitions": Effect.CHANGE}
    assert effects(ONE, replace(ONE, partitions=12)) == {"partitions": Effect.IMPOSSIBLE}
    assert effects(ONE, replace(ONE, replication=1)) == {"replication": Effect.IMPOSSIBLE}


def test_what_the_broker_would_delete_or_hold_less_safely_is_a_loss() -> None:
    assert effects(ONE, with_config(retention_ms="-1")) == {"retention.ms": Effect.LOSES}
    assert effects(with_config(retention_ms="-1"), ONE) == {"retention.ms": Effect.CHANGE}
    assert effects(with_config(cleanup_policy="compact"), ONE) == {"cleanup.policy": Effect.LOSES}
    weaker = replace(ONE, config={**ONE.config, "min.insync.replicas": "1"})
    assert effects(weaker, ONE) == {"min.insync.replicas": Effect.LOSES}
    assert effects(ONE, weaker) == {"min.insync.replicas": Effect.CHANGE}


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_a_shorter_retention_is_a_loss_and_a_longer_one_a_change(found: int, wanted: int) -> None:
    said = effects(with_config(retention_ms=str(wanted)), with_config(retention_ms=str(found)))
    expected = {} if found == wanted else {"retention.ms": Effect.LOSES if wanted < found else Effect.CHANGE}
    assert said == expected


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("bank.transactions:", "bank.transaction:", r"no events have these topics: bank\.transaction;"),
        ("partitions: 48", "partitions: 0", "greater than or equal to 1"),
        ("min_insync_replicas: 2", "min_insync_replicas: 4", "could never be written"),
        ("replication: 3", "replicas: 3", "replication"),
        ("topics:", "topics: [", "defines no topics"),
    ],
)
def test_a_broken_file_is_refused_with_its_name(tmp_path: Path, old: str, new: str, told: str) -> None:
    broken = tmp_path / "topics.yaml"
    broken.write_text(DEFINITIONS.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError, match=told) as refused:
        wanted_topics(broken)
    assert str(broken) in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.yaml defines no topics"):
        wanted_topics(tmp_path / "nothing.yaml")
