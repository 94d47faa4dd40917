"""Questions to answers: candidates from the tiers in turn, through the policy, for a batch of questions at once. Pure.

Who is known gets the personal list, filled up from their segment's, the popular and the static list; what happened
since the snapshot takes out and reorders (`overlay_changes`), and the policy sees holdings and consents as of now. Who
cannot be looked up (`data` None) gets what memory holds, as somebody unknown.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from api.overlay_changes import Changes
from api.serving import Candidate, Candidates, Serving, candidates
from api.store import Lists, UserState
from data_contracts.columns import ITEM_ID
from data_contracts.policy import Decision, Users, decide, decide_offers, employment_codes, holdings_matrix, may_profile
from data_contracts.vocabulary import Channel, Family, Kind, Tier, Variant

_BEST_FIRST = list(Tier).index


@dataclass(frozen=True)
class Question:
    user_id: int
    channel: Channel
    kind: Kind
    top_k: int
    families: frozenset[Family] = frozenset()  # of products; empty for all
    exclude: frozenset[str] = frozenset()  # item ids


@dataclass(frozen=True)
class UserData:
    """What the snapshot says of users: rows by user id; who is in neither is unknown.

    `changes`: what happened since, None where nothing did.
    """

    states: Mapping[int, UserState]
    lists: Mapping[int, Lists]
    changes: Changes | None = None


@dataclass(frozen=True)
class Reply:
    """`tier` is the best of the items shown or, where nothing may be shown, that of the list they would be from."""

    serving: Serving
    tier: Tier
    shown: Candidates

    @property
    def variant(self) -> Variant:
        return Variant.PERSONAL if self.tier is Tier.PERSONAL else Variant.SEGMENT


def recommend(serving: Serving, questions: Sequence[Question], data: UserData | None) -> list[Reply]:
    """One reply a question, in their order."""
    nothing = UserState()
    states = [data.states.get(question.user_id, nothing) if data else nothing for question in questions]
    users = users_of(serving, states)
    changes = data.changes if data else None
    if changes:
        users = changes.seen_now(users, [question.user_id for question in questions])
    is_profiled = may_profile(users).tolist()
    offered = [
        wished(serving, question, candidates_of(serving, question, state, data, is_profiled=profiled))
        for question, state, profiled in zip(questions, states, is_profiled, strict=True)
    ]
    if changes:
        offered = [
            changes.arranged(serving, question.user_id, question.channel, question.kind, found)
            for question, found in zip(questions, offered, strict=True)
        ]
    kept: list[list[bool]] = [[] for _ in questions]
    for rows in _alike(questions):
        chosen = [questions[row] for row in rows]
        decision = decided(serving, users[np.array(rows)], chosen, [offered[row] for row in rows])
        for row, keep in zip(rows, decision.keep.tolist(), strict=True):
            kept[row] = keep
    return [_reply(serving, items, keep) for items, keep in zip(offered, kept, strict=True)]


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


def candidates_of(
    serving: Serving, question: Question, state: UserState, data: UserData | None, *, is_profiled: bool
) -> Candidates:
    if data is None:
        return serving.without_user[question.kind]
    tail = serving.tail(question.kind, state.segment)
    lists = data.lists.get(question.user_id)
    if lists is None or not is_profiled:
        return tail
    return (*candidates(lists, question.kind, serving.position, Tier.PERSONAL), *tail)


def wished(serving: Serving, question: Question, offered: Candidates) -> Candidates:
    """Without what the caller does not want; before the policy, so that what is wanted fills the answer."""
    if not question.families and not question.exclude:
        return offered
    if question.kind is Kind.OFFER:
        ids = serving.snapshot.items[ITEM_ID]
        return tuple(one for one in offered if ids[one.index].as_py() not in question.exclude)
    products = serving.rule_set.catalogue.products
    return tuple(
        one
        for one in offered
        if products[one.index].product_id not in question.exclude
        and (not question.families or products[one.index].family in question.families)
    )


def _alike(questions: Sequence[Question]) -> list[list[int]]:
    """Rows of questions that one decision can answer: the same kind in the same channel."""
    groups: defaultdict[tuple[Kind, Channel], list[int]] = defaultdict(list)
    for row, question in enumerate(questions):
        groups[question.kind, question.channel].append(row)
    return list(groups.values())


def decided(serving: Serving, users: Users, questions: Sequence[Question], offered: Sequence[Candidates]) -> Decision:
    """For questions of one kind and channel."""
    items = np.full((len(offered), max(1, *map(len, offered))), -1, dtype=np.int32)
    for row, chosen in enumerate(offered):
        items[row, : len(chosen)] = [candidate.index for candidate in chosen]
    top_k = np.array([question.top_k for question in questions])
    kind, channel = questions[0].kind, questions[0].channel
    if kind is Kind.PRODUCT:
        return decide(serving.policy, users, items, channel=channel, top_k=top_k)
    return decide_offers(users, items, blocked=serving.is_blocked_item, channel=channel, top_k=top_k)


def _reply(serving: Serving, offered: Sequence[Candidate], keep: Sequence[bool]) -> Reply:
    shown = tuple(candidate for candidate, is_kept in zip(offered, keep, strict=False) if is_kept)
    source = shown or offered
    return Reply(serving, tier=min((one.tier for one in source), key=_BEST_FIRST, default=Tier.STATIC), shown=shown)
