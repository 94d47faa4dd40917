"""An answer made again, step by step, to see what each step took out. Pure.

The steps are those of `recommend`: the lists, the caller's wishes, events and context, the policy.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from api.layout import Laid, Layout, Question, UserData, laid_out
from api.recommend import decided, with_reasons
from api.serving import Candidate, Candidates, Serving
from data_contracts.columns import ITEM_ID
from data_contracts.context import woven
from data_contracts.experiments import drawn_order
from data_contracts.policy import Drop
from data_contracts.vocabulary import Kind, Tier

WHY: Mapping[str, str] = {
    "not_in_catalogue": "the catalogue of then had it no longer",
    "not_wished": "the caller excluded it, or asked for other families",
    "suppressed": "an event of the user suppressed it or its family",
    "contact_policy": "the contact policy kept it back: told often enough, cooling down, or in a control group",
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
    """`boost` is of events, `context_boost` of the question's context and of what its user holds; log-odds both."""

    candidate: Candidate
    listed_at: int
    boost: float
    context_boost: float


@dataclass(frozen=True)
class Rebuilt:
    """`kept` by item id, in the answer's order."""

    kept: Mapping[str, Kept]
    dropped: Sequence[Dropped]
    is_profiled: bool


def rebuilt(
    serving: Serving, question: Question, data: UserData | None, *, propensities: Sequence[float] = ()
) -> Rebuilt:
    """`propensities`: as logged; which neighbours changed places is theirs to say, since what is drawn may be another
    share of the answers by now.
    """
    parts = {kind: _part(serving, question, kind, data) for kind in question.kinds}
    lists = {kind: list(part.kept.items()) for kind, part in parts.items()}
    best = woven(question.pattern, lists, question.top_k)
    order = drawn_order(propensities) if len(propensities) == len(best) else range(len(best))
    kept = dict(best[place] for place in order)
    return Rebuilt(
        kept=kept,
        dropped=[dropped for part in parts.values() for dropped in (*part.dropped, *_crowded_out(part, kept))],
        is_profiled=all(part.is_profiled for part in parts.values()),
    )


def _part(serving: Serving, question: Question, kind: Kind, data: UserData | None) -> Rebuilt:
    layout = laid_out(serving, [question], kind, data)
    laid = layout.laid[0]
    reasons = decided(serving, layout, kind, question.channel).reason[0].tolist()
    arranged = {one.index for one in laid.arranged}
    rules = {
        **{one.index: "not_wished" for one in set(laid.listed) - set(laid.wanted)},
        **{one.index: _by_overlay(data, question, one) for one in laid.wanted if one.index not in arranged},
        # The first word on an item is the one that counts: later ones only say that it stands above.
        **_first_rule(laid.arranged, reasons),
    }
    places = {one.index: place for place, one in reversed(list(enumerate(laid.listed, start=1)))}
    ids = {index: item_id_of(serving, kind, index) for index in places}
    chosen = tuple(one for one, reason in zip(laid.arranged, reasons, strict=False) if reason == Drop.NONE)
    kept = {
        ids[one.index]: Kept(one, places[one.index], _boost(data, question, one), _emphasised(layout, one))
        for one in with_reasons(layout, 0, chosen)
    }
    return Rebuilt(
        kept=kept,
        dropped=[*_unknown(serving, laid, kind), *_dropped(laid.listed, rules, ids, places, shown=set(kept))],
        is_profiled=laid.is_profiled,
    )


def _crowded_out(part: Rebuilt, kept: Mapping[str, Kept]) -> Iterator[Dropped]:
    """What one kind would have shown, had the placement not mixed in the other."""
    for item_id, one in part.kept.items():
        if item_id not in kept:
            yield Dropped(item_id, one.listed_at, one.candidate.tier, one.candidate.score, "beyond_top_k")


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
    listed: Candidates, rules: Mapping[int, str], ids: Mapping[int, str], places: Mapping[int, int], *, shown: set[str]
) -> Iterator[Dropped]:
    for place, one in enumerate(listed, start=1):
        if ids[one.index] not in shown and places[one.index] == place:
            yield Dropped(ids[one.index], place, one.tier, one.score, rules[one.index])


def _unknown(serving: Serving, laid: Laid, kind: Kind) -> Iterator[Dropped]:
    """Of the personal list: products that the catalogue has no longer."""
    lists = laid.personal
    if lists and kind is Kind.PRODUCT:
        ids = serving.snapshot.items[ITEM_ID]
        for code, score in zip(lists.products.items, lists.products.scores, strict=True):
            if serving.position[code] < 0:
                yield Dropped(str(ids[code].as_py()), None, Tier.PERSONAL, score, "not_in_catalogue")


def _by_overlay(data: UserData | None, question: Question, one: Candidate) -> str:
    changes = data.changes if data else None
    is_withdrawn = changes is not None and changes.is_withdrawn(question.user_id, question.channel)
    if is_withdrawn:
        return "withdrawn"
    kept_back = changes.kept_back if changes else None
    is_kept = kept_back is not None and kept_back.holds(question.user_id, question.channel, one)
    return "contact_policy" if is_kept else "suppressed"


def _boost(data: UserData | None, question: Question, one: Candidate) -> float:
    changes = data.changes if data else None
    if changes is None:
        return 0.0
    if one.kind is Kind.PRODUCT:
        return float(changes.product_boosts([question.user_id])[0, one.index])
    return float(changes.offer_boosts([question.user_id], np.array([[one.index]], dtype=np.int32))[0, 0])


def _emphasised(layout: Layout, one: Candidate) -> float:
    return float(layout.emphasis.boosts[0, one.index]) if one.kind is Kind.PRODUCT else 0.0
