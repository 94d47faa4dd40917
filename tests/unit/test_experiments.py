"""What runs and who is in which arm: files that contradict are refused, and one hash deals the users."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.explaining import item_id_of, rebuilt
from api.layout import Question, UserData
from api.recommend import Reply, recommend
from api.serving import Serving, Snapshot
from data_contracts.context import Context
from data_contracts.errors import InputError
from data_contracts.experiments import (
    Experiment,
    Traits,
    Trials,
    arm_numbers,
    assignments,
    drawn,
    drawn_order,
    experiments_in,
)
from data_contracts.vocabulary import Channel, Kind, Placement, Tier, Variant
from tests.day_world import ALICE, BOB, FALLBACK, FIRST, LISTS, NOW, RULE_SET, STATES, items_table
from tests.experiment_samples import experiment, folder_of

DAY = NOW.date()
KNOWN = Traits(segment=1, region=7, consents=8)
LOOKS = {"a": {"share": 0.5}, "b": {"share": 0.5}}


def arm_of(one: Experiment, user_id: int, traits: Traits | None = KNOWN) -> str | None:
    return next((found.arm for found in assignments([one], user_id, traits)), None)


def test_what_ships_is_valid_and_runs_nowhere() -> None:
    assert [one.enabled for one in experiments_in(None)] == [False]


@pytest.mark.parametrize(
    ("bodies", "said"),
    [
        ([{"arms": {"a": {"share": 0.5}, "b": {"share": 0.4}}}], r"0\.yaml: arms: their shares must add up to 1"),
        ([{"arms": {"a": {"share": 0.5}, "b": {"share": 0.5, "variant": "best"}}}], r"0\.yaml: arms\.b\.variant: "),
        ([{"end": "2026-03-01"}], r"0\.yaml: end: lies before"),
        ([{"metrics": "ctr"}], r"0\.yaml: metrics: Extra"),
        ([{"traffic": [0.5, 0.4]}], r"0\.yaml: traffic: needs"),
        ([{}, {}], r"1\.yaml: name: lists is the name of two"),
        ([{}, {"name": "b"}], r"1\.yaml: traffic: overlaps with that of lists in layer lists"),
        ([{}, {"name": "b", "layer": "other"}], r"1\.yaml: kinds: lists of layer lists chooses the same lists"),
        ([{}, {"name": "b", "layer": "look", "arms": LOOKS}], r"1\.yaml: salt: is that of lists of layer lists"),
    ],
)
def test_a_file_that_is_wrong_or_contradicts_another_is_refused_by_name_and_field(
    tmp_path: Path, bodies: list[dict[str, Any]], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        experiments_in(folder_of(tmp_path, *bodies))


@pytest.mark.parametrize("change", [{"start": "2026-04-01", "end": "2026-05-01"}, {"enabled": False}, {"salt": "two"}])
def test_layers_may_share_a_salt_one_after_the_other(tmp_path: Path, change: dict[str, Any]) -> None:
    bodies = [{}, {"name": "b", "layer": "look", "arms": LOOKS, **change}]
    assert len(experiments_in(folder_of(tmp_path, *bodies))) == 2


def test_experiments_of_a_layer_share_no_user_and_layers_are_independent(tmp_path: Path) -> None:
    told = {"layer": "look", "arms": LOOKS}
    bodies = [{"traffic": [0, 0.5]}, {"name": "second", "traffic": [0.5, 1]}, {"name": "third", "salt": "x", **told}]
    running = experiments_in(folder_of(tmp_path, *bodies))
    found = [tuple((one.experiment, one.arm) for one in assignments(running, user, KNOWN)) for user in range(20_000)]
    names = [[name for name, _ in one] for one in found]
    assert {tuple(one) for one in names} == {("lists", "third"), ("second", "third")}
    for first in ({"lists"}, {"second"}):
        for arm in ("personal", "segment"):
            third = [one[1][1] for one in found if one[0][0] in first and one[0][1] == arm]
            assert np.mean([arm == "a" for arm in third]) == pytest.approx(0.5, abs=0.03)


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1), st.text(min_size=1), st.floats(0.01, 0.99))
def test_one_user_and_an_array_of_them_get_the_same_arms(users: list[int], salt: str, share: float) -> None:
    shares = {"a": share, "b": (1 - share) / 2, "c": (1 - share) / 2}
    one = experiment(salt=salt, traffic=[0.2, 0.9], arms={arm: {"share": part} for arm, part in shares.items()})
    names = [None if number < 0 else "abc"[number] for number in arm_numbers(one, np.array(users, np.int64))]
    assert names == [arm_of(one, user) for user in users]


def test_arms_come_in_their_shares_and_a_new_salt_deals_anew() -> None:
    users = np.arange(40_000)
    one, other = (arm_numbers(experiment(salt=salt), users) for salt in ("one", "two"))
    assert (one == 1).mean() == pytest.approx(0.4, abs=0.01)
    assert (one == other).mean() == pytest.approx(0.6**2 + 0.4**2, abs=0.01)


def test_who_does_not_meet_the_conditions_takes_no_part() -> None:
    one = experiment(eligible={"segments": [1, 2], "regions": [7], "profiled": True})
    assert arm_of(one, 5) is not None
    for traits in (None, Traits(3, 7, 8), Traits(1, 8, 8), Traits(1, 7, 7)):
        assert arm_of(one, 5, traits) is None
    assert arm_of(experiment(), 5, None) is not None


def serving_with(*running: Experiment, exploration: float = 0.0) -> Serving:
    snapshot = Snapshot(FIRST, items_table(), FALLBACK, is_whole=True)
    return Serving.of(snapshot, RULE_SET, frozenset(), today=DAY, trials=Trials(running, exploration))


def asked(user_id: int, kind: Kind | None, *running: Experiment) -> Reply:
    (reply,) = recommend(serving_with(*running), [Question(user_id, Channel.WEB, kind, 10)], UserData(STATES, LISTS))
    return reply


def test_an_arm_of_the_segment_variant_is_answered_from_the_segments_list() -> None:
    everyone = {"personal": {"share": 1e-12}, "segment": {"share": 1 - 1e-12, "variant": "segment"}}
    one = experiment(arms=everyone, kinds=["product"])
    reply = asked(ALICE, Kind.PRODUCT, one)
    assert (reply.tier, reply.variant) == (Tier.SEGMENT, Variant.SEGMENT)
    assert [(told.experiment, told.arm) for told in reply.assignments] == [("lists", "segment")]
    assert asked(ALICE, Kind.OFFER, one).tier is Tier.PERSONAL
    assert asked(ALICE, Kind.PRODUCT).assignments == ()


def test_outside_of_its_days_an_experiment_changes_nothing() -> None:
    past = experiment(start="2026-01-01", end=DAY)
    assert asked(BOB, Kind.PRODUCT, past).assignments == ()


@given(st.lists(st.sampled_from(Kind), max_size=8), st.floats(0.01, 0.2), st.integers(0, 2**63 - 1))
def test_what_is_drawn_changes_places_of_two_neighbours_of_one_kind_at_most(
    kinds: list[Kind], share: float, user: int
) -> None:
    found = drawn(kinds, share=share, user_id=user, snapshot_id=FIRST)
    assert sorted(found.order) == list(range(len(kinds)))
    assert [kinds[place] for place in found.order] == kinds
    moved = [place for place, item in enumerate(found.order) if place != item]
    assert moved in ([], moved[:1] + [one + 1 for one in moved[:1]])
    assert all((chance < 0.5) == (place in moved) for place, chance in enumerate(found.propensities))
    assert drawn_order(found.propensities) == found.order
    assert drawn(kinds, share=0, user_id=user, snapshot_id=FIRST).order == list(range(len(kinds)))


def test_items_stand_where_they_do_as_often_as_their_propensity_says() -> None:
    kinds, users = [Kind.PRODUCT, Kind.PRODUCT, Kind.PRODUCT, Kind.OFFER], 40_000
    stood, chance = np.zeros((4, 4)), np.zeros((4, 4))
    for user in range(users):
        found = drawn(kinds, share=0.2, user_id=user, snapshot_id=FIRST)
        stood[found.order, range(4)] += 1
        chance[found.order, range(4)] = found.propensities
    assert stood / users == pytest.approx(chance, abs=0.006)
    assert chance.sum(axis=0) == pytest.approx(np.ones(4))


def test_what_was_explored_shows_the_same_items_and_is_explained_in_the_same_order() -> None:
    serving = serving_with(exploration=0.2)
    moved = 0
    for user_id in range(1_000, 1_100):
        question = Question(user_id, Channel.WEB, None, 10, context=Context(placement=Placement.FEED))
        plain, (reply,) = (recommend(one, [question], UserData({}, {})) for one in (serving_with(), serving))
        assert set(reply.shown) == set(plain[0].shown)
        moved += reply.shown != plain[0].shown
        shown = [item_id_of(serving, one.kind, one.index) for one in reply.shown]
        # By another share than today's: what was drawn then is the log's to say.
        again = rebuilt(serving_with(), question, UserData({}, {}), propensities=reply.propensities)
        assert list(again.kept) == shown
    assert 5 <= moved <= 40
