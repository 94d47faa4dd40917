"""Lists of variants: for whom a night makes them, what order uplift gives, how the gate and the day use them."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.layout import Question, UserData
from api.recommend import Reply, recommend
from data_contracts.experiments import Experiment, arm_numbers, shown_from, wanted
from data_contracts.night import NightParams, Sources
from data_contracts.vocabulary import Channel, Family, Kind, Tier, Variant
from spark_jobs.ranking.uplift import OFFERED, Contacted, UpliftModel, train_uplift
from spark_jobs.scoring.audience_pool import Picker, PoolSize
from spark_jobs.scoring.product_lists import persuaded_order
from spark_jobs.scoring.stage import StageModels, VariantModels, Worth, WorthSum, score_batches
from tests.day_world import ALICE, LISTS, STATES, ranked
from tests.experiment_samples import experiment
from tests.unit.scoring_samples import FEATURES, PRODUCTS, product_models, users_table
from tests.unit.test_experiments import serving_with

ARMS = {"all": {"share": 0.5}, "persuaded": {"share": 0.3, "variant": "uplift"}, "none": {"share": 0.2}}
TRIED = experiment(arms=ARMS, kinds=["product"])
TO_ALL = {"control": {"share": 1e-12}, "uplift": {"share": 1 - 1e-12, "variant": "uplift"}}


def test_a_night_makes_the_variants_that_some_arm_needs_for_the_users_of_that_arm() -> None:
    assert wanted([experiment()], outbound=()) == ()
    (one,) = wanted([experiment(), TRIED], outbound=())
    assert (one.variant, one.kinds) == (Variant.UPLIFT, {Kind.PRODUCT})
    users = np.arange(2_000)
    assert one.users(users).tolist() == (arm_numbers(TRIED, users) == 1).tolist()


def test_outbound_needs_lists_of_everybody() -> None:
    both = wanted([TRIED], outbound=[Variant.CHALLENGER, Variant.UPLIFT])
    assert [one.variant for one in both] == [Variant.UPLIFT, Variant.CHALLENGER]
    assert all(one.users(np.arange(50)).all() for one in both)


def test_a_snapshot_is_shown_on_its_day_and_until_the_next_night_is_done() -> None:
    day = date(2026, 3, 16)
    runs = {start: experiment(start=day + timedelta(days=start)) for start in (-1, 1, 2)}
    over = experiment(start=day - timedelta(days=3), end=day)
    assert shown_from([*runs.values(), over], day) == (runs[-1], runs[1])


def test_a_night_can_be_run_again_from_its_parameters_with_the_same_experiments() -> None:
    params = NightParams(as_of=date(2026, 3, 16), lake="l", sources=Sources(dwh="d"), experiments=(TRIED,))
    assert NightParams.model_validate_json(params.model_dump_json()).variants == params.variants


@given(st.integers(0, 2**32 - 1))
def test_products_come_by_what_showing_adds_and_where_it_adds_nothing_as_in_personal_lists(seed: int) -> None:
    rng = np.random.default_rng(seed)
    families, values = rng.integers(0, 3, 7), rng.uniform(1, 9, 7).astype(np.float32)
    gains = rng.choice([-0.1, 0.0, 0.05, 0.2], (4, len(Family))).astype(np.float32)
    probability = rng.uniform(0.01, 0.5, (4, 7)).astype(np.float32)
    order = persuaded_order(gains, probability, values=values, families=families)
    for user, listed in enumerate(order):
        assert sorted(listed) == list(range(7))
        helps = gains[user, families[listed]] > 0
        assert (np.diff(helps.astype(int)) <= 0).all()
        assert (np.diff((probability[user] * values)[listed[~helps]]) <= 0).all()
        for family in range(3):
            of = listed[families[listed] == family]
            assert (np.diff((probability[user] * values)[of]) <= 1e-6).all()


@pytest.fixture(scope="module")
def model() -> UpliftModel:
    """Cards persuade whom the first feature is high for; nothing else persuades anybody."""
    rng = np.random.default_rng(5)
    users, card = 20_000, list(Family).index(Family.CARD)
    features = np.zeros((users, len(FEATURES) + len(OFFERED)), np.float32)
    features[:, : len(FEATURES)] = rng.normal(size=(users, len(FEATURES)))
    offered = rng.integers(0, len(OFFERED), users)
    features[np.arange(users), len(FEATURES) + offered] = 1
    treated = rng.random(users) < 0.7
    chance = 0.1 + 0.5 * treated * (features[:, 0] > 0) * (offered == card)
    outcome = (rng.random(users) < chance).astype(np.float32)
    return train_uplift(
        Contacted(np.arange(users), features, (*FEATURES, *OFFERED), treated, outcome), seed=1, threads=1
    )


def test_what_is_saved_persuades_the_same_users(model: UpliftModel, tmp_path: Path) -> None:
    model.save(str(tmp_path))
    users = np.random.default_rng(1).normal(size=(50, len(FEATURES))).astype(np.float32)
    gains = model.gains(users)
    assert np.array_equal(UpliftModel.load(str(tmp_path)).gains(users), gains)
    of_card = gains[:, list(Family).index(Family.CARD)]
    assert of_card[users[:, 0] > 0.3].min() > 0.2 > of_card[users[:, 0] < -0.3].max()


def test_who_is_in_the_arm_has_a_list_by_uplift_beside_an_unchanged_personal_one(model: UpliftModel) -> None:
    users, products = users_table(300), product_models()
    variants = (VariantModels(wanted([TRIED], outbound=())[0], replace(products, uplift=model)),)

    def lists(of: tuple[VariantModels, ...]) -> tuple[list[dict], Worth]:
        summed = [Worth.nothing(0, len(PRODUCTS.values))]
        add = WorthSum().addInPlace
        batches = score_batches(
            users.to_batches(max_chunksize=70),
            StageModels(products, variants=of),
            lambda more: summed.append(add(summed[-1], more)),
        )
        return pa.Table.from_batches(batches).to_pylist(), summed[-1]

    (alone, worth), (beside, same_worth) = lists(()), lists(variants)
    assert [one for one in beside if one["variant"] == "personal"] == alone
    assert np.array_equal(worth.worth, same_worth.worth)
    by_uplift = {one["user_id"]: one for one in beside if one["variant"] == "uplift"}
    ids = users.column("user_id").to_numpy()
    assert list(by_uplift) == ids[arm_numbers(TRIED, ids) == 1].tolist()
    of_card = {code for code, family in enumerate(PRODUCTS.families) if family == list(Family).index(Family.CARD)}
    spends = dict(zip(ids.tolist(), users.column(FEATURES[0]).to_pylist(), strict=True))
    persuaded = [one for user, one in by_uplift.items() if spends[user] > 0.3]
    assert len(persuaded) > 10
    assert all(one["product_items"][0] in of_card for one in persuaded)
    personal = {one["user_id"]: one for one in alone}
    for user, one in by_uplift.items():
        told = dict(zip(personal[user]["product_items"], personal[user]["product_scores"], strict=True))
        scores = zip(one["product_items"], one["product_scores"], strict=True)
        assert all(told.get(item, score) == score for item, score in scores)


def test_an_audience_by_uplift_begins_with_whom_being_shown_persuades_and_tells_the_scores_of_lists(
    model: UpliftModel,
) -> None:
    users, products = users_table(300), product_models()
    variants = (VariantModels(wanted((), outbound=[Variant.UPLIFT])[0], replace(products, uplift=model)),)
    picker = Picker(PoolSize(1))
    batches = users.to_batches(max_chunksize=70)
    stage = score_batches(batches, StageModels(products, variants=variants), lambda _worth: None, picker.take)
    lists = pa.Table.from_batches(stage).to_pylist()
    best = {(part["variant"], part["item"]): part["best"] for part in picker.parts().to_pylist()}
    for one in lists:
        for item, score in zip(one["product_items"], one["product_scores"], strict=True):
            (own,) = (user for user in best[one["variant"], item] if user["user_id"] == one["user_id"])
            assert own["score"] == score
            assert one["variant"] == "uplift" or own["shortfall"] == 65_535 - score
    spends = dict(zip(users["user_id"].to_pylist(), users[FEATURES[0]].to_pylist(), strict=True))
    card = [spends[user["user_id"]] for user in best["uplift", 1]]
    assert min(card[:30]) > 0.2 > -0.2 > max(card[-30:])


def asked(kind: Kind, lists: dict, *running: Experiment) -> Reply:
    data = UserData(STATES, {ALICE: replace(LISTS[ALICE], variants=lists)})
    (reply,) = recommend(serving_with(*running), [Question(ALICE, Channel.WEB, kind, 10)], data)
    return reply


def test_an_arms_variant_is_answered_where_there_is_a_list_and_personal_where_there_is_none() -> None:
    other = replace(LISTS[ALICE], products=ranked("deposit_year", "savings_daily"), offers=ranked())
    one = experiment(arms=TO_ALL)
    plain = asked(Kind.PRODUCT, {})
    reply = asked(Kind.PRODUCT, {Variant.UPLIFT: other}, one)
    assert (reply.tier, reply.variant) == (Tier.PERSONAL, Variant.UPLIFT)
    assert [item.index for item in reply.shown][:1] != [item.index for item in plain.shown][:1]
    for missing in (
        asked(Kind.PRODUCT, {}, one),
        asked(Kind.PRODUCT, {Variant.CHALLENGER: other}, one),
        asked(Kind.PRODUCT, {Variant.UPLIFT: other}),
    ):
        assert (missing.variant, missing.shown) == (Variant.PERSONAL, plain.shown)
    assert asked(Kind.OFFER, {Variant.UPLIFT: other}, one).variant is Variant.PERSONAL
