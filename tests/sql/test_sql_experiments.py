"""Experiments in ClickHouse: the same arms as everywhere."""

import time

import numpy as np
import orjson

from api.outbox import Entry
from api.sinks import EXPOSURES, ClickHouseSink
from data_contracts.experiments import arm_numbers, assignments, bounds, salt_number, slice_of
from sql.client import Address, Store
from tests.experiment_samples import experiment

USERS = np.concatenate([np.arange(5_000), np.random.default_rng(7).integers(0, 2**63 - 1, 5_000)])


def test_the_night_the_api_and_clickhouse_deal_ten_thousand_users_alike(address: Address, store: Store) -> None:
    one = experiment(traffic=[0.1, 0.8])
    at = time.time_ns() // 1_000  # the table forgets what is old
    entries = [_exposure(number, int(user), at) for number, user in enumerate(USERS)]
    sink = ClickHouseSink(address, EXPOSURES)
    sink.deliver(entries)
    sink.close()
    layer, first, last = slice_of(one)
    named = {"layer": layer, "first": first, "last": last, "salt": salt_number(one.salt), "bounds": list(bounds(one))}
    rows = store.rows("exposures_v1/of_experiment", name=one.name, until=at + 1, **{"from": at}, **named)
    dealt = {row[0]: row[-1] for row in rows}
    by_night = dict(zip(USERS.tolist(), arm_numbers(one, USERS).tolist(), strict=True))
    by_day = {user: next((found.arm for found in assignments([one], user, None)), None) for user in by_night}
    names = [None, *one.arms]
    assert len(dealt) == len(by_night)
    assert {user: place - 1 for user, place in dealt.items()} == by_night
    assert {user: names[place] for user, place in dealt.items()} == by_day
    assert set(by_day.values()) == set(names)


def _exposure(number: int, user_id: int, at: int) -> Entry:
    told = {"user_id": user_id, "event_time": at, "rec_id": f"{number}", "channel": "web", "kind": "product"}
    asked = {"top_k": 1, "families": [], "exclude": [], "cart": [], "policy_hash": "", "variant": "personal"}
    arms = {"arm": "a", "assignments": [{"experiment": "lists", "arm": "a"}], "tier": "personal", "items": []}
    return Entry(f"{number}", orjson.dumps({"event_id": f"{number}", **told, **asked, **arms}))
