"""What a question says of its place and moment, and how that orders the answer.

`kinds` is the one table of what raises which products, how strongly, for which reason, and of how a placement mixes
products with offers; `compute` is the pure function from contexts and holdings to boosts and reasons, and mixes.

Belongs here: what a context means. Does not: how it is sent and validated, and what may be shown (policy).
"""

from data_contracts.context.compute import Emphasis, Relations, emphasis, woven
from data_contracts.context.kinds import (
    KINDS,
    NO_CONTEXT,
    PLACEMENTS,
    REASONS,
    SCREENS,
    Context,
    ContextKind,
    pattern_of,
)

__all__ = [
    "KINDS",
    "NO_CONTEXT",
    "PLACEMENTS",
    "REASONS",
    "SCREENS",
    "Context",
    "ContextKind",
    "Emphasis",
    "Relations",
    "emphasis",
    "pattern_of",
    "woven",
]
