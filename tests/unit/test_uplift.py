"""Uplift: who is persuaded is found where effects differ, and nobody is where there is none."""

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from data_contracts.night import NightParams, Sources
from spark_jobs.evaluation.uplift import SHARES, uplift_quality
from spark_jobs.jobs.uplift import alone, beside, facts_of, judged, too_few
from spark_jobs.ranking.uplift import OFFERED, Contacted, UpliftModel, train_uplift

USERS = 10_000
PARAMS = NightParams(as_of=date(2026, 3, 16), lake="unused", sources=Sources(dwh="unused"), training_threads=1)


def campaign(seed: int, *, effect: float) -> Contacted:
    """A tenth is held out. Everybody's chance depends on x1; being shown adds `effect` for whom x0 > 0."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(USERS, 4)).astype(np.float32)
    treated = rng.random(USERS) < 0.9
    chance = 0.10 + 0.08 * (features[:, 1] > 0) + effect * (features[:, 0] > 0) * treated
    outcome = (rng.random(USERS) < chance).astype(np.float32)
    return Contacted(np.arange(USERS), features, ("x0", "x1", "x2", "x3"), treated, outcome)


def learnt(effect: float) -> dict[str, Any]:
    model = train_uplift(campaign(1, effect=effect), seed=PARAMS.seed, threads=1)
    return judged(model, campaign(3, effect=effect), seed=PARAMS.seed)


def test_who_is_persuaded_is_ranked_first_and_the_effect_of_a_share_is_what_it_is() -> None:
    told = learnt(0.2)
    assert told["coefficient"]["low"] > 0
    at = {one["share"]: one for one in told["uplift_at"]}
    assert at[0.3]["low"] < 0.2 < at[0.3]["high"]
    assert at[1.0]["low"] < 0.1 < at[1.0]["high"]
    # Those persuaded are half of all: the curve has risen by then, and is flat after it.
    curve = told["curve"]
    assert curve[10]["value"] > 0.8 * curve[-1]["value"] == pytest.approx(0.8 * curve[-1]["random"])
    assert told["qini"][-1] == [1.0, curve[-1]["value"] * told["treated"]]
    assert told["treated"] + told["control"] == USERS


def test_where_treatment_does_nothing_no_ranking_is_better_than_chance() -> None:
    told = learnt(0)
    for one in (told["coefficient"], *told["uplift_at"]):
        assert one["low"] < 0 < one["high"]


@pytest.fixture(scope="module")
def rivals() -> tuple[UpliftModel, UpliftModel, Contacted]:
    """One that has learned from a campaign that persuades, one from a campaign that does not, and later contacts."""

    def named(cases: Contacted) -> Contacted:
        return replace(
            cases, names=(*cases.names, *OFFERED), features=np.pad(cases.features, ((0, 0), (0, len(OFFERED))))
        )

    knows, guesses = (train_uplift(named(campaign(1, effect=one)), seed=1, threads=1) for one in (0.2, 0.0))
    return knows, guesses, named(campaign(3, effect=0.2))


def test_who_finds_more_of_the_persuaded_takes_over_and_nobody_from_itself(
    rivals: tuple[UpliftModel, UpliftModel, Contacted],
) -> None:
    knows, guesses, later = rivals
    assert beside(knows, guesses, later, seed=7).passed
    for challenger, champion in ((guesses, knows), (knows, knows)):
        assert [one.name for one in beside(challenger, champion, later, seed=7).failures] == ["uplift_gain"]


def test_without_a_champion_to_ask_enough_openings_and_no_prohibited_feature_are_asked_for(
    rivals: tuple[UpliftModel, UpliftModel, Contacted],
) -> None:
    knows, _, later = rivals
    assert alone(knows, later).passed
    hardly = replace(later, outcome=np.zeros_like(later.outcome))
    assert [one.name for one in alone(knows, hardly).failures] == ["enough_cases"]


def test_what_is_kept_of_a_training_is_what_was_measured(rivals: tuple[UpliftModel, UpliftModel, Contacted]) -> None:
    knows, _, later = rivals
    told = judged(knows, later, seed=7)
    facts = facts_of(told, later)
    assert facts["qini_low"] < facts["qini"] == told["coefficient"]["value"] < facts["qini_high"]
    assert facts["training_positives"] == later.outcome.sum()


def test_groups_that_tell_nothing_have_a_reason_instead_of_a_curve() -> None:
    one = campaign(1, effect=0)
    nobody = replace(one, outcome=np.zeros(USERS, np.float32))
    assert "fewer than 500 users" in too_few(one, None, PARAMS)
    assert "opened fewer than 20" in too_few(one, nobody, PARAMS)
    assert too_few(one, one, PARAMS) == ""


def test_the_curve_is_that_of_its_definition() -> None:
    rng = np.random.default_rng(7)
    scores, treated = rng.permutation(400).astype(np.float64), rng.random(400) < 0.7
    outcome = (rng.random(400) < 0.4).astype(np.float64)
    found = uplift_quality(scores, treated, outcome, seed=7, samples=2)
    best = np.argsort(-scores)
    for share, one in zip(SHARES[1:], found.curve[1:], strict=True):
        top = best[: round(share * 400)]
        shown, held = top[treated[top]], top[~treated[top]]
        added = outcome[shown].sum() - outcome[held].sum() * len(shown) / len(held)
        assert one.value == pytest.approx(added / treated.sum())
    assert found.at[1.0].value == pytest.approx(outcome[treated].mean() - outcome[~treated].mean())
    assert found.curve[-1].value == pytest.approx(found.at[1.0].value)
