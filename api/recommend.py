"""Questions to answers: what the lists, events and context lay out goes through the policy, a batch at once. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from api.layout import Laid, Layout, Question, UserData, laid_out
from api.serving import Candidate, Candidates, Serving
from data_contracts.context import woven
from data_contracts.policy import Decision, Users, decide, decide_offers
from data_contracts.vocabulary import Channel, Kind, Tier, Variant

_BEST_FIRST = list(Tier).index


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
    layout = laid_out(serving, questions, data)
    kept: list[Candidates] = [()] * len(layout.laid)
    for rows in _alike(layout.laid):
        laid = [layout.laid[row] for row in rows]
        keep = decided(serving, layout.users[np.array(rows)], laid).keep
        for row, one, flags in zip(rows, laid, keep.tolist(), strict=True):
            chosen = tuple(item for item, is_kept in zip(one.arranged, flags, strict=False) if is_kept)
            kept[row] = with_reasons(layout, row, chosen)
    return list(_replies(serving, questions, layout.laid, kept))


def with_reasons(layout: Layout, row: int, chosen: Candidates) -> Candidates:
    """Products that the context raises say so first, before why the night chose them."""
    reasons = layout.emphasis.reasons[row]
    if layout.laid[row].kind is Kind.OFFER or not reasons.any():
        return chosen
    return tuple(
        replace(one, reasons=code | (one.reasons & 0xFF) << 8) if (code := int(reasons[one.index])) else one
        for one in chosen
    )


def _alike(laid: Sequence[Laid]) -> list[list[int]]:
    """Rows that one decision can answer: the same kind in the same channel."""
    groups: defaultdict[tuple[Kind, Channel], list[int]] = defaultdict(list)
    for row, one in enumerate(laid):
        groups[one.kind, one.question.channel].append(row)
    return list(groups.values())


def decided(serving: Serving, users: Users, laid: Sequence[Laid]) -> Decision:
    """For what is of one kind and channel."""
    items = np.full((len(laid), max(1, *(len(one.arranged) for one in laid))), -1, dtype=np.int32)
    for row, one in enumerate(laid):
        items[row, : len(one.arranged)] = [candidate.index for candidate in one.arranged]
    top_k = np.array([one.question.top_k for one in laid])
    kind, channel = laid[0].kind, laid[0].question.channel
    if kind is Kind.PRODUCT:
        return decide(serving.policy, users, items, channel=channel, top_k=top_k)
    return decide_offers(users, items, blocked=serving.is_blocked_item, channel=channel, top_k=top_k)


def _replies(
    serving: Serving, questions: Sequence[Question], laid: Sequence[Laid], kept: Sequence[Candidates]
) -> Iterator[Reply]:
    row = 0
    for question in questions:
        kinds = question.kinds
        lists = dict(zip(kinds, kept[row : row + len(kinds)], strict=True))
        shown = tuple(woven(question.pattern, lists, question.top_k)) if len(kinds) > 1 else kept[row]
        source: Sequence[Candidate] = shown or [one for part in laid[row : row + len(kinds)] for one in part.arranged]
        tier = min((one.tier for one in source), key=_BEST_FIRST, default=Tier.STATIC)
        yield Reply(serving, tier, shown)
        row += len(kinds)
