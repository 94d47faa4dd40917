"""Documents that two people bring into force: what became of each, and that no document harms who reads it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.campaigns import campaign_of, campaigns_in, check_campaign
from data_contracts.errors import InputError
from data_contracts.yaml_files import DocumentError, as_document
from sql.proposals import VALID, Proposal, State, Taken, _Row, folded, in_force
from tests.campaign_samples import campaign, folder_of

START = datetime(2026, 3, 16, 9, tzinfo=UTC)
rows = st.lists(
    st.tuples(
        st.sampled_from(["p1", "p2", "p3"]), st.sampled_from(["asked", "approved", "refused"]), st.integers(0, 300)
    ),
    max_size=12,
)


def steps_of(drawn: list[tuple[str, str, int]]) -> list[_Row]:
    """In order of time; a proposal is asked for once. p1 and p2 are of one campaign."""
    asked: set[str] = set()
    found = []
    for proposal_id, step, hours in sorted(drawn, key=lambda one: one[2]):
        if step != "asked" or proposal_id not in asked:
            name = "cards" if proposal_id == "p3" else "loans"
            at = START + timedelta(hours=2 * hours)
            found.append(_Row(at, proposal_id, name, step, "somebody", "why", proposal_id if step == "asked" else ""))
        asked |= {proposal_id} if step == "asked" else set()
    return found


@given(rows, st.integers(0, 900))
def test_of_a_name_one_proposal_waits_at_most_and_what_is_decided_stays_so(
    drawn: list[tuple[str, str, int]], hours: int
) -> None:
    steps, now = steps_of(drawn), START + timedelta(hours=hours + 600)
    found = folded(steps, now=now)
    waiting = [one.name for one in found if one.state is State.WAITING]
    assert len(waiting) == len(set(waiting))
    assert all(now - one.asked.at <= VALID for one in found if one.state is State.WAITING)
    assert all((one.decided is not None) == (one.state in (State.APPROVED, State.REFUSED)) for one in found)
    later = [replace(one, at=now, step="refused", document="") for one in steps]
    decided = {one.proposal_id: one for one in found if one.decided}
    assert {one.proposal_id: one for one in folded([*steps, *later], now=now) if one.proposal_id in decided} == decided


def test_the_last_that_was_approved_holds_and_a_decision_that_came_too_late_is_none() -> None:
    def row(day: int, proposal_id: str, step: str) -> _Row:
        return _Row(START + timedelta(days=day), proposal_id, "loans", step, "a", "why", proposal_id)

    first = [row(0, "p1", "asked"), row(1, "p1", "approved")]
    assert in_force(folded(first, now=START))["loans"].document == "p1"
    second = [*first, row(2, "p2", "asked"), row(3, "p3", "asked"), row(4, "p2", "approved"), row(30, "p3", "approved")]
    found = folded(second, now=START + timedelta(days=31))
    assert [one.state for one in found] == [State.APPROVED, State.REPLACED, State.EXPIRED]
    assert in_force(found)["loans"] == Proposal(
        "p1", "loans", "p1", Taken(START, "a", "why"), State.APPROVED, Taken(START + timedelta(days=1), "a", "why")
    )


@pytest.mark.parametrize(
    "changes",
    [{}, {"product": None, "families": ["loan", "card"], "audience": {"segments": [2, 1], "size": 900}, "priority": 2}],
)
def test_what_a_campaign_says_as_a_document_is_the_same_campaign(changes: dict[str, object]) -> None:
    one = campaign(**changes)
    assert campaign_of(as_document(one), "loans") == one


@pytest.mark.parametrize(
    ("text", "where", "line"),
    [
        ("a: &x [1]\nb: *x\n", "", 2),
        ("[" * 15_000, "", 1),
        ("budget: !!int x\n", "", 1),
        ("name: loans\nbudget: 0\n", "product", 1),
        ("\x00", "", 1),
    ],
)
def test_a_document_that_would_harm_its_reader_or_is_no_campaign_is_refused(text: str, where: str, line: int) -> None:
    with pytest.raises(DocumentError, match=r"^document:") as refused:
        campaign_of(text, "document")
    assert refused.value.line == line


@given(st.text(max_size=60))
def test_no_text_breaks_the_reading_of_a_document(text: str) -> None:
    with pytest.raises(DocumentError):
        campaign_of(text, "document")


def test_an_approved_document_stands_in_place_of_its_file_and_is_read_beside_all_others(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {}, {"name": "cards", "product": "card_gold"})
    approved = {"loans": as_document(campaign(budget=7)), "more": as_document(campaign(name="more"))}
    assert {one.name: one.budget for one in campaigns_in(folder, approved=approved)} == {
        "cards": 100,
        "loans": 7,
        "more": 100,
    }
    strange = as_document(campaign(exclusive_with=["nobody"]))
    with pytest.raises(InputError, match=r"document:\d+: exclusive_with: there is no campaign nobody"):
        check_campaign(folder, strange, known=None, approved={})
