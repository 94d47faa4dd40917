"""Experiments in ClickHouse: the same arms as everywhere, and a report of what is logged there."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import orjson

from api.outbox import Entry
from api.sinks import EXPOSURES, FEEDBACK, ClickHouseSink
from data_contracts.events.codec import file_schema
from data_contracts.experiments import arm_numbers, assignments, bounds, salt_number, slice_of
from data_contracts.settings import Settings
from infra.experiments import Source, report_of
from sql.client import Address, Store
from tests.experiment_samples import experiment

USERS = np.concatenate([np.arange(5_000), np.random.default_rng(7).integers(0, 2**63 - 1, 5_000)])
TODAY = datetime.now(UTC).date()
ONE = experiment(traffic=[0.1, 0.8], start=TODAY - timedelta(days=2), end=TODAY + timedelta(days=2))
# The table forgets what is old.
NOW = time.time_ns() // 1_000


def test_all_deal_ten_thousand_users_alike_and_the_report_finds_who_does_better(
    address: Address, store: Store, tmp_path: Path
) -> None:
    by_night = dict(zip(USERS.tolist(), arm_numbers(ONE, USERS).tolist(), strict=True))
    names = [*ONE.arms, None]
    exposures = [_exposure(user, names[arm]) for user, arm in by_night.items()]
    _deliver(address, EXPOSURES, exposures)
    layer, first, last = slice_of(ONE)
    named = {"layer": layer, "first": first, "last": last, "salt": salt_number(ONE.salt), "bounds": list(bounds(ONE))}
    rows = store.rows("exposures_v1/of_experiment", name="everyone", until=NOW + 1, **{"from": NOW}, **named)
    dealt = {row[0]: row[-1] - 1 for row in rows}
    by_day = {user: next((found.arm for found in assignments([ONE], user, None)), None) for user in by_night}
    assert dealt == by_night
    assert {user: names[arm] for user, arm in dealt.items()} == by_day

    takers = [user for user, arm in by_night.items() if user % 10 < (2 if arm == 1 else 1)]
    feedback = [_purchase(user) for user in takers]
    _deliver(address, FEEDBACK, feedback)
    settings = Settings(clickhouse_url=address.url, clickhouse_database=address.database, lake=str(tmp_path))
    found = report_of(ONE, settings, off_policy="unexplored")
    assert found["verdict"].startswith("segment is better than the control, conversion: +0.")
    assert {name: arm["users"] for name, arm in found["arms"].items()} == {
        name: sum(arm == place for arm in by_night.values()) for place, name in enumerate(ONE.arms)
    }
    assert (found["users_misdealt"], found["users_in_two_arms"]) == (0, 0)
    assert "refused" not in found["off_policy"]

    _land(tmp_path, EXPOSURES, exposures)
    _land(tmp_path, FEEDBACK, [*feedback, *feedback[:50]])  # some came twice
    landed = report_of(ONE, settings, off_policy="unexplored", source=Source.LAKE)
    assert {**landed, "until": found["until"]} == {**found, "source": "lake"}


def _land(lake: Path, topic: str, events: Sequence[Mapping[str, Any]]) -> None:
    """As `recs land` leaves them."""
    folder = lake / "landing" / topic / TODAY.isoformat() / "00"
    folder.mkdir(parents=True)
    with (folder / "00000-0-0.avro").open("wb") as stream:
        fastavro.writer(stream, file_schema(topic), events)


def _deliver(address: Address, topic: str, events: Sequence[Mapping[str, Any]]) -> None:
    sink = ClickHouseSink(address, topic)
    sink.deliver([Entry(str(event["event_id"]), orjson.dumps(event)) for event in events])
    sink.close()


def _exposure(user_id: int, arm: str | None) -> Mapping[str, Any]:
    told = {"user_id": user_id, "event_time": NOW, "rec_id": f"{user_id}", "channel": "web", "kind": "product"}
    asked = {"top_k": 1, "families": [], "exclude": [], "cart": [], "policy_hash": "", "variant": "personal"}
    arms = [{"experiment": name, "arm": of or "none"} for name, of in (("everyone", "a"), ("lists", arm)) if of]
    item = {"item_id": "card", "position": 1, "tier": "personal", "score": 0.1, "propensity": 1.0}
    more = {"arm": "a", "assignments": arms, "tier": "personal", "items": [item]}
    return {"event_id": f"{user_id}", **told, **asked, **more}


def _purchase(user_id: int) -> Mapping[str, Any]:
    told = {"event_id": f"{user_id}", "event_time": NOW, "user_id": user_id, "event_type": "purchased"}
    return {**told, "channel": "web", "rec_id": f"{user_id}", "item_id": "card", "is_expired": False}
