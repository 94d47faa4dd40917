"""What a question could be answered with, step by step: the lists, the caller's wishes, events and context. Pure.

Who is known gets the personal list, filled up from their segment's, the popular and the static list; what happened
since the snapshot takes out and reorders (`overlay_changes`), and what the question says of its place and moment
reorders (`data_contracts.context`). The policy comes after it. Who cannot be looked up (`data` None) gets what memory
holds, as somebody unknown.

Boosts order candidates anew: an item's worth is its probability times, for a product, its value, as the night ranked
it; a boost of b makes of a probability p the one whose log-odds are b more. Candidates that nothing boosts keep their
order, whatever their worths say, and a boosted one goes up past all that are worth less than it is now (a tired one
down past those worth more). Only the order is made so: scores stay the calibrated probabilities.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from api.overlay_changes import Changes
from api.serving import NO_SCORE, Candidates, Serving, candidates
from api.store import Lists, UserState
from data_contracts.columns import ITEM_ID
from data_contracts.context import NO_CONTEXT, Context, Emphasis, emphasis, pattern_of
from data_contracts.experiments import Assignment
from data_contracts.overlay.kinds import MOST_BOOST
from data_contracts.policy import Users, employment_codes, holdings_matrix, may_profile
from data_contracts.scores import dequantise, log_odds
from data_contracts.vocabulary import Channel, Family, Kind, Tier


@dataclass(frozen=True)
class Question:
    """`kind` None: whatever the context's placement shows."""

    user_id: int
    channel: Channel
    kind: Kind | None
    top_k: int
    families: frozenset[Family] = frozenset()  # of products; empty for all
    exclude: frozenset[str] = frozenset()  # item ids
    context: Context = NO_CONTEXT
    assignment: Assignment | None = None

    @property
    def pattern(self) -> tuple[Kind, ...]:
        return (self.kind,) if self.kind else pattern_of(self.context.placement)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Each once."""
        return tuple(dict.fromkeys(self.pattern))


@dataclass(frozen=True)
class UserData:
    """What the snapshot says of users: rows by user id; who is in neither is unknown.

    `changes`: what happened since, None where nothing did.
    """

    states: Mapping[int, UserState]
    lists: Mapping[int, Lists]
    changes: Changes | None = None


@dataclass(frozen=True, slots=True)
class Laid:
    """One kind of one question: what the lists offer, of that what is wanted, and that as it is now and here."""

    question: Question
    kind: Kind
    is_profiled: bool
    listed: Candidates
    wanted: Candidates
    arranged: Candidates


@dataclass(frozen=True)
class Layout:
    """Rows of all three are the kinds of the questions, in their order; products are the serving catalogue's."""

    laid: Sequence[Laid]
    users: Users
    emphasis: Emphasis


def laid_out(serving: Serving, questions: Sequence[Question], data: UserData | None) -> Layout:
    parts = [(question, kind) for question in questions for kind in question.kinds]
    nothing = UserState()
    states = [data.states.get(question.user_id, nothing) if data else nothing for question, _ in parts]
    users = users_of(serving, states)
    changes = data.changes if data else None
    if changes:
        users = changes.seen_now(users, [question.user_id for question, _ in parts])
    is_profiled = may_profile(users)
    said = emphasis(serving.relations, [one.context for one, _ in parts], users.holdings & is_profiled[:, None])
    laid = []
    for row, (question, kind) in enumerate(parts):
        listed = _listed(serving, question, kind, states[row], data, is_profiled=bool(is_profiled[row]))
        wanted = _wanted(serving, question, kind, listed)
        arranged = _arranged(serving, question, kind, wanted, changes=changes, emphasised=said.boosts[row])
        laid.append(Laid(question, kind, bool(is_profiled[row]), listed, wanted, arranged))
    return Layout(laid, users, said)


def users_of(serving: Serving, states: Sequence[UserState]) -> Users:
    pairs = [(row, serving.position[item]) for row, state in enumerate(states) for item in state.holdings]
    rows, positions = zip(*pairs, strict=True) if pairs else ((), ())
    return Users.from_state(
        holdings=holdings_matrix(rows, positions, users=len(states), products=serving.policy.products),
        birth_year=[state.birth_year for state in states],
        region=[state.region for state in states],
        income_band=[state.income_band for state in states],
        employment=employment_codes(state.employment for state in states),
        score_band=[state.score_band for state in states],
        arrears_days=[state.arrears_days for state in states],
        consents=[state.consents for state in states],
    )


def _listed(
    serving: Serving, question: Question, kind: Kind, state: UserState, data: UserData | None, *, is_profiled: bool
) -> Candidates:
    if data is None:
        return serving.without_user[kind]
    tail = serving.tail(kind, state.segment)
    lists = data.lists.get(question.user_id)
    if lists is None or not is_profiled:
        return tail
    return (*candidates(lists, kind, serving.position, Tier.PERSONAL), *tail)


def _wanted(serving: Serving, question: Question, kind: Kind, listed: Candidates) -> Candidates:
    """Without what the caller does not want; before the policy, so that what is wanted fills the answer."""
    if not question.families and not question.exclude:
        return listed
    if kind is Kind.OFFER:
        ids = serving.snapshot.items[ITEM_ID]
        return tuple(one for one in listed if ids[one.index].as_py() not in question.exclude)
    products = serving.rule_set.catalogue.products
    return tuple(
        one
        for one in listed
        if products[one.index].product_id not in question.exclude
        and (not question.families or products[one.index].family in question.families)
    )


def _arranged(
    serving: Serving,
    question: Question,
    kind: Kind,
    wanted: Candidates,
    *,
    changes: Changes | None,
    emphasised: NDArray[np.float64],
) -> Candidates:
    """Without what events suppress, best first; `emphasised` [P] is of products."""
    found = changes.left(question.user_id, question.channel, kind, wanted) if changes else wanted
    is_raised = kind is Kind.PRODUCT and bool(emphasised.any())
    if not found or not (changes or is_raised):
        return found
    index = np.array([candidate.index for candidate in found], dtype=np.intp)
    boosts = changes.boosts_of(question.user_id, kind, index) if changes else None
    if is_raised:
        boosts = emphasised[index] if boosts is None else emphasised[index] + boosts
    if boosts is None or not boosts.any():
        return found
    values = serving.values[index] if kind is Kind.PRODUCT else np.ones(len(found))
    return _ranked(found, np.clip(boosts, -MOST_BOOST, MOST_BOOST), values)


def _ranked(found: Candidates, boosts: NDArray[np.float64], values: NDArray[np.float64]) -> Candidates:
    # The static list has no scores: nothing there is worth more than the least of what was scored.
    scores = np.array([max(candidate.score, 0) if candidate.score != NO_SCORE else 0 for candidate in found])
    was = dequantise(scores) * values
    stands = np.minimum.accumulate(was)
    now = values / (1.0 + np.exp(-(log_odds(scores) + boosts)))
    worth = np.where(boosts > 0, np.maximum(stands, now), np.where(boosts < 0, np.minimum(stands, now), stands))
    return tuple(found[place] for place in np.argsort(-worth, kind="stable").tolist())
