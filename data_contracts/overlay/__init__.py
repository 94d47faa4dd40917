"""The overlay: what a user's streamed events change in an answer until a night has seen them.

`kinds` is the one table of which event does what, for how long and how strongly; `rows` says what of an event is kept;
`compute` is the pure function from kept events to suppressions, holdings, consents and boosts.

Belongs here: what events mean. Does not: how they travel and where they are stored, what may be shown (policy).
"""

from data_contracts.overlay.compute import Boosts, Overlay, Pairs, Suppressed, overlay
from data_contracts.overlay.kinds import FLEETING, KINDS, TOPICS, Effect, OverlayKind
from data_contracts.overlay.rows import EVENTS, EventRow, row_of

__all__ = [
    "EVENTS",
    "FLEETING",
    "KINDS",
    "TOPICS",
    "Boosts",
    "Effect",
    "EventRow",
    "Overlay",
    "OverlayKind",
    "Pairs",
    "Suppressed",
    "overlay",
    "row_of",
]
