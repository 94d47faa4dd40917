"""An answer made again, step by step, to see what each step took out. Pure.

The steps are those of `recommend`: the lists, the caller's wishes, the overlay, the policy.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from api.recommend import Question, UserData, candidates_of, decided, users_of, wished
from api.serving import Candidate, Candidates, Serving
from api.store import UserState
from data_contracts.columns import ITEM_ID
from data_contracts.policy import Drop, may_profile
from data_contracts.policy.users import CHANNEL_CONSENT
from data_contracts.vocabulary import Kind, Tier

WHY: Mapping[str, str] = {
    "not_in_catalogue": "the catalogue of then had it no longer",
    "not_wished": "the caller excluded it, or asked for other families",
    "suppressed": "an event of the user suppressed it or its family",
    "withdrawn": "the user withdrew from this channel",
    "not_sold": "it was not on sale that day",
    "blocked": "it was under a compliance stop",
    "not_safe": "nothing was known of the user, and it is not safe for anyone",
    "no_consent": "the user had not agreed to be addressed in this channel",
    "channel": "it is not offered in this channel",
    "not_eligible": "the user is not eligible for it",
    "held": "the user held it",
    "prohibited_with_held": "it must not go together with what the user held",
    "missing_prerequisite": "the user held none of the products that it needs",
    "beyond_top_k": "the answer was full",
    "prohibited_with_placed": "it must not go together with an item shown above it",
    "family_cap": "enough of its family stood above it",
}


@dataclass(frozen=True)
class Dropped:
    item_id: str
    listed_at: int | None
    tier: Tier
    score: int  # as stored
    rule: str  # of WHY


@dataclass(frozen=True)
class Kept:
    candidate: Candidate
    listed_at: int
    boost: float


@dataclass(frozen=True)
class Rebuilt:
    """`kept` by item id, in the answer's order."""

    kept: Mapping[str, Kept]
    dropped: Sequence[Dropped]
    is_profiled: bool


def rebuilt(serving: Serving, question: Question, data: UserData | None) -> Rebuilt:
    state = data.states.get(question.user_id, UserState()) if data else UserState()
    changes = data.changes if data else None
    users = users_of(serving, [state])
    if changes:
        users = changes.seen_now(users, [question.user_id])
    is_profiled = bool(may_profile(users)[0])
    listed = candidates_of(serving, question, state, data, is_profiled=is_profiled)
    wanted = wished(serving, question, listed)
    arranged = wanted
    if changes:
        arranged = changes.arranged(serving, question.user_id, question.channel, question.kind, wanted)
    reasons = decided(serving, users, [question], [arranged]).reason[0].tolist()
    rules = {
        **{one.index: "not_wished" for one in set(listed) - set(wanted)},
        **{one.index: _by_overlay(data, question) for one in set(wanted) - set(arranged)},
        # The first word on an item is the one that counts: later ones only say that it stands above.
        **_first_rule(arranged, reasons),
    }
    places = {one.index: place for place, one in reversed(list(enumerate(listed, start=1)))}
    shown = [one for one, reason in zip(arranged, reasons, strict=False) if reason == Drop.NONE]
    ids = {index: item_id_of(serving, question.kind, index) for index in places}
    return Rebuilt(
        kept={ids[one.index]: Kept(one, places[one.index], _boost(data, question, one.index)) for one in shown},
        dropped=[
            *_unknown(serving, question, data, is_profiled=is_profiled),
            *_dropped(listed, rules, ids, places, shown={one.index for one in shown}),
        ],
        is_profiled=is_profiled,
    )


def item_id_of(serving: Serving, kind: Kind, index: int) -> str:
    if kind is Kind.PRODUCT:
        return serving.policy.product_ids[index]
    return str(serving.snapshot.items[ITEM_ID][index].as_py())


def _first_rule(arranged: Candidates, reasons: Sequence[int]) -> Mapping[int, str]:
    rules: dict[int, str] = {}
    for one, reason in zip(arranged, reasons, strict=False):
        rules.setdefault(one.index, Drop(reason).name.lower())
    return rules


def _dropped(
    listed: Candidates, rules: Mapping[int, str], ids: Mapping[int, str], places: Mapping[int, int], *, shown: set[int]
) -> Iterator[Dropped]:
    for place, one in enumerate(listed, start=1):
        if one.index not in shown and places[one.index] == place:
            yield Dropped(ids[one.index], place, one.tier, one.score, rules[one.index])


def _unknown(serving: Serving, question: Question, data: UserData | None, *, is_profiled: bool) -> Iterator[Dropped]:
    """Of the personal list: products that the catalogue has no longer."""
    lists = data.lists.get(question.user_id) if data and is_profiled else None
    if lists and question.kind is Kind.PRODUCT:
        ids = serving.snapshot.items[ITEM_ID]
        for code, score in zip(lists.products.items, lists.products.scores, strict=True):
            if serving.position[code] < 0:
                yield Dropped(str(ids[code].as_py()), None, Tier.PERSONAL, score, "not_in_catalogue")


def _by_overlay(data: UserData | None, question: Question) -> str:
    changes = data.changes if data else None
    row = changes.rows.get(question.user_id) if changes else None
    if changes is None or row is None:
        return "suppressed"
    return "withdrawn" if changes.withdrawn[row] & CHANNEL_CONSENT[question.channel] else "suppressed"


def _boost(data: UserData | None, question: Question, index: int) -> float:
    changes = data.changes if data else None
    row = changes.rows.get(question.user_id) if changes else None
    if changes is None or row is None:
        return 0.0
    if question.kind is Kind.PRODUCT:
        return float(changes.boosts[row, index])
    offers = changes.offers.get(row)
    return (offers.boosts or {}).get(index, 0.0) if offers else 0.0
