"""Reports on simulated logs: a known effect is found, none is called none, what is broken is called so."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from data_contracts.errors import InputError
from data_contracts.experiments import Experiment, arm_numbers, drawn
from data_contracts.vocabulary import Kind
from spark_jobs.evaluation.experiment_report import Report, experiment_report
from spark_jobs.evaluation.exploration_log import Target, logged_exposures
from spark_jobs.evaluation.off_policy import off_policy
from tests.experiment_samples import experiment

START = datetime(2026, 3, 1, tzinfo=UTC)
ONE = experiment()


def log_of(
    *, users: int = 8_000, lift: float = 0.0, complaints: float = 0.0, lost: float = 0.0
) -> tuple[pa.Table, pa.Table]:
    """Two answers a user. In arm `segment` more click, take and complain; a share of its users is lost."""
    rng = np.random.default_rng(7)
    ids = np.arange(users)
    arm = arm_numbers(ONE, ids)
    is_kept = (arm == 0) | (rng.random(users) >= lost)
    ids, arm = ids[is_kept], arm[is_kept]
    users, more = len(ids), arm * lift
    shown = pa.table(
        {
            "user_id": np.repeat(ids, 2),
            "rec_id": [f"{user}/{number}" for user in ids for number in (0, 1)],
            "arm": np.array(list(ONE.arms), object)[np.repeat(arm, 2)],
            "kind": ["product"] * (2 * users),
            # Every second answer of the arm `segment` is from other lists.
            "variant": np.where(np.repeat(arm, 2) & np.tile([0, 1], users), "segment", "personal"),
            "dealt": np.repeat(arm + 1, 2),
        }
    )
    events = [
        ("purchased", -1, rng.random(users) < 0.2),
        ("clicked", 1, rng.random(users) < 0.2 + more),
        ("purchased", 1, rng.random(users) < 0.1 + more),
        ("complained", 1, rng.random(users) < 0.01 + arm * complaints),
    ]
    rows = [(user, kind, days) for kind, days, does in events for user in ids[does]]
    told = {
        "user_id": [user for user, *_ in rows],
        "rec_id": [f"{user}/0" for user, *_ in rows],
        "event_type": [kind for _, kind, _ in rows],
        "event_time": pa.array([START + timedelta(days=days) for *_, days in rows], pa.timestamp("us", "UTC")),
    }
    return shown, pa.table(told)


def report(**world: Any) -> Report:
    return experiment_report(ONE, *log_of(**world), start=START)


def test_a_known_effect_is_found_within_its_interval() -> None:
    found = report(lift=0.05)
    assert found.verdict.startswith("segment is better than the control, conversion: +0.0")
    segment = found.as_json()["arms"]["segment"]
    assert segment["conversion_difference"]["low"] < 0.05 < segment["conversion_difference"]["high"]
    # One click in two answers.
    assert segment["ctr_difference"]["low"] < 0.025 < segment["ctr_difference"]["high"]
    assert (found.left_out, found.misdealt) == (0, 0)
    assert found.of_variant == {"personal": 1.0, "segment": 0.5}
    assert found.p_mismatch > 0.001


def test_without_an_effect_none_is_claimed() -> None:
    assert report().verdict.startswith("no difference is shown yet")


def test_users_lost_from_one_arm_make_it_invalid_however_good_it_looks() -> None:
    assert report(lift=0.05, lost=0.1).verdict.startswith("invalid: users did not fall")


def test_a_guardrail_that_rises_stops_what_converts_better() -> None:
    assert report(lift=0.05, complaints=0.02).verdict.startswith("stop: complained of segment rose by 0.0")


def test_users_in_two_arms_are_left_out_and_told() -> None:
    exposures, feedback = log_of(users=500)
    arms = exposures["arm"].to_pylist()
    arms[0] = next(arm for arm in ONE.arms if arm != arms[0])
    mixed = exposures.set_column(exposures.column_names.index("arm"), "arm", pa.array(arms))
    found = experiment_report(ONE, mixed, feedback, start=START)
    assert (found.left_out, found.misdealt) == (1, 1)
    assert sum(one.users for one in found.comparisons.values()) == 499


def test_users_of_an_arm_that_is_no_longer_there_count_in_none_and_are_told() -> None:
    exposures, feedback = log_of(users=500)
    arms, users = exposures["arm"].to_pylist(), exposures["user_id"].to_pylist()
    renamed = {users[row] for row, arm in enumerate(arms) if arm == "segment"} - set(range(50))
    # One of them was also answered after the change.
    late = users.index(max(renamed))
    told = [
        "old" if user in renamed and row != late else arm
        for row, (user, arm) in enumerate(zip(users, arms, strict=True))
    ]
    changed = exposures.set_column(exposures.column_names.index("arm"), "arm", pa.array(told))
    found = experiment_report(ONE, changed, feedback, start=START)
    assert (found.as_json()["users_in_unknown_arms"], found.left_out, found.misdealt) == (len(renamed), 0, 0)
    before = experiment_report(ONE, exposures, feedback, start=START)
    assert found.comparisons["personal"] == before.comparisons["personal"]
    assert found.comparisons["segment"].users == before.comparisons["segment"].users - len(renamed)


def of_nothing(rng: np.random.Generator, one: Experiment, users: int = 500) -> tuple[pa.Table, pa.Table]:
    """An answer a user; whatever the arm, as many take something, complain, dismiss and opt out."""
    ids = rng.integers(0, 2**62, users)
    arm = arm_numbers(one, ids)
    shown = {"user_id": ids, "rec_id": ids.astype(str), "arm": np.array(list(one.arms), object)[arm], "dealt": arm + 1}
    kinds = np.array(["purchased", *one.guardrails], object)
    does = rng.random((len(kinds), users)) < 0.25
    kind, user = np.nonzero(does)
    at = pa.array(np.full(len(user), "2026-03-02", "datetime64[us]"), pa.timestamp("us", "UTC"))
    told = {"user_id": ids[user], "rec_id": ids[user].astype(str), "event_type": kinds[kind], "event_time": at}
    fixed = {name: pa.array(["product"] * users) for name in ("kind", "variant")}
    return pa.table({**shown, **fixed}), pa.table(told)


def test_of_a_thousand_experiments_without_effect_no_more_are_stopped_or_decided_than_is_said() -> None:
    rng = np.random.default_rng(7)
    one = experiment(arms={arm: {"share": 1 / 3} for arm in "abc"})
    found = [experiment_report(one, *of_nothing(rng, one), start=START).verdict for _ in range(1000)]
    stopped = sum(said.startswith("stop") for said in found)
    decided = sum("better than the control" in said or "worse than the control" in said for said in found)
    # 25 and 50 expected at most; the binomial's upper 99.9 %.
    assert stopped <= 41
    assert decided <= 72
    assert stopped + decided >= 20


PAID = np.array([0.30, 0.10, 0.20])  # what an item earns wherever it stands
SCORES = [0.5, 0.3, 0.4]


def explored(users: int, share: float = 0.2) -> tuple[pa.Table, set[tuple[str, str]]]:
    rng = np.random.default_rng(7)
    rows, clicks = [], set()
    for user in range(users):
        found = drawn([Kind.PRODUCT] * 3, share=share, user_id=user, snapshot_id="2026-03-01.1")
        items = [str(item) for item in found.order]
        is_click = rng.random(3) < PAID[found.order]
        clicks |= {(str(user), item) for item, does in zip(items, is_click, strict=True) if does}
        scores = [SCORES[item] for item in found.order]
        told = {"item_ids": items, "item_scores": scores, "propensities": found.propensities}
        rows.append({"user_id": user, "rec_id": str(user), "kind": "product", **told})
    return pa.Table.from_pylist(rows), clicks


@pytest.mark.parametrize("target", Target)
def test_explored_answers_tell_what_another_order_would_earn(target: Target) -> None:
    found = off_policy(logged_exposures(*explored(12_000), target=target))
    for one in (found.ips, found.snips, found.doubly_robust):
        assert one.low < PAID.mean() < one.high
    assert found.overlap == 1


def test_an_estimate_is_refused_where_the_log_cannot_bear_it() -> None:
    with pytest.raises(InputError, match="effective exposures are fewer"):
        off_policy(logged_exposures(*explored(200), target=Target.UNEXPLORED))
    with pytest.raises(InputError, match=r"overlap 0\.33 is below"):
        off_policy(logged_exposures(*explored(2_000, share=0), target=Target.BY_SCORE))
