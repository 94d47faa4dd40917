"""What questions could be answered with, step by step: the lists, the callers' wishes, events and contexts. Pure.

Who is known gets the personal list, filled up from their segment's, the popular and the static list; what happened
since the snapshot takes out and reorders (`overlay_changes`), and what a question says of its place and moment reorders
(`data_contracts.context`). The policy comes after it. Who cannot be looked up (`data` None) gets what memory holds, as
somebody unknown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from api.arranging import arranged
from api.overlay_changes import Changes
from api.serving import Candidates, Serving, candidates
from api.store import Lists, UserState
from data_contracts.columns import ITEM_ID
from data_contracts.context import NO_CONTEXT, Context, Emphasis, emphasis, pattern_of
from data_contracts.experiments import Assignment, Traits, assignments, chosen
from data_contracts.policy import Users, employment_codes, holdings_matrix, may_profile
from data_contracts.vocabulary import Channel, Family, Kind, Tier, Variant

_NOTHING_OWN = (Variant.SEGMENT, None)


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

    @property
    def pattern(self) -> tuple[Kind, ...]:
        return (self.kind,) if self.kind else pattern_of(self.context.placement)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Each once."""
        return (self.kind,) if self.kind else tuple(dict.fromkeys(self.pattern))


@dataclass(frozen=True)
class UserData:
    """What the snapshot says of users: rows by user id; who is in neither is unknown.

    `changes`: what happened since, None where nothing did. `chosen`: whose lists an answer of then was made of, by
    kind; None where the experiments that run say it.
    """

    states: Mapping[int, UserState]
    lists: Mapping[int, Lists]
    changes: Changes | None = None
    chosen: Mapping[Kind, Variant] | None = None


@dataclass(frozen=True, slots=True)
class Laid:
    """Of one question: what the lists offer, of that what is wanted, and that as it is now and here, best first."""

    question: Question
    is_profiled: bool
    personal: Lists | None  # what of the user's own the answer is made of
    variant: Variant  # whose lists those are
    listed: Candidates
    wanted: Candidates
    arranged: Candidates


@dataclass(frozen=True)
class Layout:
    """Of questions of one kind, N of them in their order. `items` [N, L]: numbers of what is arranged, -1 for none."""

    laid: Sequence[Laid]
    items: NDArray[np.int32]
    users: Users
    emphasis: Emphasis


def laid_out(serving: Serving, questions: Sequence[Question], kind: Kind, data: UserData | None) -> Layout:
    nothing = UserState()
    states = [data.states.get(question.user_id, nothing) if data else nothing for question in questions]
    user_ids = [question.user_id for question in questions]
    as_of_night = users = users_of(serving, states)
    changes = data.changes if data else None
    if changes:
        users = changes.seen_now(users, user_ids)
    is_profiled = may_profile(users)
    sources = [
        _chosen(serving, question, kind, data) if profiled else _NOTHING_OWN
        for question, profiled in zip(questions, is_profiled.tolist(), strict=True)
    ]
    own = [lists for _, lists in sources]
    has_list = np.array([lists is not None for lists in own], np.bool_)
    # A personal list was made by a model that knew what was held then: only what came since speaks for others there.
    speaks = users.holdings & is_profiled[:, None] & ~(as_of_night.holdings & has_list[:, None])
    said = emphasis(serving.relations, [one.context for one in questions], speaks)
    listed = [
        _listed(serving, kind, state, lists) if data else serving.without_user[kind]
        for state, lists in zip(states, own, strict=True)
    ]
    wanted = [_wanted(serving, *one, kind) for one in zip(questions, listed, strict=True)]
    left = wanted
    if changes:
        left = [
            changes.left(one.user_id, one.channel, kind, found) for one, found in zip(questions, wanted, strict=True)
        ]
    best, items = arranged(serving, user_ids, left, kind=kind, emphasised=said.boosts, changes=changes)
    variants = [variant for variant, _ in sources]
    rows = zip(questions, is_profiled.tolist(), own, variants, listed, wanted, best, strict=True)
    return Layout([Laid(*row) for row in rows], items, users, said)


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


def assigned(serving: Serving, user_id: int, data: UserData | None) -> tuple[Assignment, ...]:
    """The only place where a user gets an experiment's arm by day; eligible is who was when the snapshot was made."""
    if not serving.trials.experiments:
        return ()
    state = data.states.get(user_id) if data else None
    traits = Traits(state.segment, state.region, state.consents) if state else None
    return assignments(serving.trials.experiments, user_id, traits)


def _chosen(serving: Serving, question: Question, kind: Kind, data: UserData | None) -> tuple[Variant, Lists | None]:
    """The user's own lists that an arm chooses or chose, else the personal ones, also where the variant has none of it.

    None where there are none, or where an arm says that the segment's list is shown instead.
    """
    lists = data.lists.get(question.user_id) if data else None
    if data is None or lists is None:
        return _NOTHING_OWN
    variant = data.chosen[kind] if data.chosen else chosen(assigned(serving, question.user_id, data), kind)
    if variant is Variant.SEGMENT:
        return _NOTHING_OWN
    other = lists.variants.get(variant)
    return (variant, other) if other and other.of(kind).items else (Variant.PERSONAL, lists)


def _listed(serving: Serving, kind: Kind, state: UserState, lists: Lists | None) -> Candidates:
    tail = serving.tail(kind, state.segment)
    return tail if lists is None else (*candidates(lists, kind, serving.position, Tier.PERSONAL), *tail)


def _wanted(serving: Serving, question: Question, listed: Candidates, kind: Kind) -> Candidates:
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
