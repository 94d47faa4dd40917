"""Questions to answers: what the lists, events and context lay out goes through the policy, a batch at once.

Pure, but that it counts what the rules drop.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress

import numpy as np

from api import metrics
from api.layout import Layout, Question, UserData, assigned, laid_out
from api.serving import Candidate, Candidates, Serving
from data_contracts.context import woven
from data_contracts.experiments import Assignment, drawn
from data_contracts.policy import Decision, decide, decide_offers
from data_contracts.vocabulary import Channel, Kind, Tier, Variant

_BEST_FIRST = {tier: place for place, tier in enumerate(Tier)}


@dataclass(frozen=True)
class Reply:
    """`tier` is the best of the items shown or, where nothing may be shown, that of the list they would be from.

    `propensities`: of each item shown, the chance to stand where it does. `variant`: of the lists that the best item is
    from; of the segment's where that is nobody's own. `variants`: the same of each kind asked for, shown or not.
    """

    serving: Serving
    tier: Tier
    shown: Candidates
    propensities: Sequence[float]
    assignments: tuple[Assignment, ...]
    variant: Variant = Variant.SEGMENT
    variants: Mapping[Kind, Variant] = field(default_factory=dict)


@dataclass(frozen=True)
class _Part:
    """One kind of an answer; `offered` is what its `shown` was chosen from."""

    shown: Candidates
    offered: Candidates
    variant: Variant


def recommend(serving: Serving, questions: Sequence[Question], data: UserData | None) -> list[Reply]:
    """One reply a question, in their order."""
    parts: list[dict[Kind, _Part]] = [{} for _ in questions]
    for (kind, channel), rows in _alike(questions).items():
        layout = laid_out(serving, [questions[row] for row in rows], kind, data)
        decision = decided(serving, layout, kind, channel)
        metrics.dropped(decision.reason)
        keep = decision.keep.tolist()
        for place, row in enumerate(rows):
            laid = layout.laid[place]
            offered = laid.arranged
            kept = tuple(compress(offered, keep[place]))
            parts[row][kind] = _Part(with_reasons(layout, place, kept), offered, laid.variant)
    return [_reply(serving, question, part, data) for question, part in zip(questions, parts, strict=True)]


def _alike(questions: Sequence[Question]) -> Mapping[tuple[Kind, Channel], list[int]]:
    """Rows of questions that one decision can answer: the same kind in the same channel."""
    groups: defaultdict[tuple[Kind, Channel], list[int]] = defaultdict(list)
    for row, question in enumerate(questions):
        for kind in question.kinds:
            groups[kind, question.channel].append(row)
    return groups


def decided(serving: Serving, layout: Layout, kind: Kind, channel: Channel) -> Decision:
    top_k = np.array([one.question.top_k for one in layout.laid])
    if kind is Kind.PRODUCT:
        return decide(serving.policy, layout.users, layout.items, channel=channel, top_k=top_k)
    return decide_offers(layout.users, layout.items, blocked=serving.is_blocked_item, channel=channel, top_k=top_k)


def with_reasons(layout: Layout, row: int, chosen: Candidates) -> Candidates:
    """Products that the context raises say so first, before why the night chose them."""
    codes = layout.emphasis.reasons[row].tolist()
    if not chosen or chosen[0].kind is Kind.OFFER or not any(codes):
        return chosen
    return tuple(_said(one, codes[one.index]) for one in chosen)


def _said(one: Candidate, code: int) -> Candidate:
    return Candidate(one.index, one.score, code | (one.reasons & 0xFF) << 8, one.tier, one.kind) if code else one


def _reply(serving: Serving, question: Question, parts: Mapping[Kind, _Part], data: UserData | None) -> Reply:
    best = woven(question.pattern, {kind: part.shown for kind, part in parts.items()}, question.top_k)
    found = drawn(
        [one.kind for one in best],
        share=serving.trials.exploration,
        user_id=question.user_id,
        snapshot_id=serving.snapshot_id,
    )
    shown = [best[place] for place in found.order]
    source = shown or [one for part in parts.values() for one in part.offered]
    best_from = min(source, key=lambda one: _BEST_FIRST[one.tier], default=None)
    tier = best_from.tier if best_from else Tier.STATIC
    variant = parts[best_from.kind].variant if best_from and tier is Tier.PERSONAL else Variant.SEGMENT
    return Reply(
        serving,
        tier,
        tuple(shown),
        found.propensities,
        assigned(serving, question.user_id, data),
        variant,
        {kind: part.variant for kind, part in parts.items()},
    )
