"""The one table of overlay kinds: which event has which effect, for how long, how strongly.

An event may stand in several lines. Strengths are log-odds, so a boost of 0.7 doubles small chances; they fade with
their half-life and are cut at `MOST_BOOST`.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from data_contracts.vocabulary import (
    CampaignEvent,
    ContactEvent,
    FeedbackEvent,
    ProductEvent,
    SuppressionEvent,
    TelemetryEvent,
)

PRODUCT_EVENTS, CAMPAIGNS = "bank.product_events", "campaign.interactions"
TELEMETRY, FEEDBACK = "digital.telemetry", "recommendation.feedback"
SUPPRESSIONS = "contact.suppressions"
MOST_BOOST = 3.0
MICROS = 1_000_000


class Effect(StrEnum):
    """What an event does. The last event wins between HOLD and RELEASE, and between WITHDRAW and GIVE.

    What shuts a door counts as long as a snapshot may not have seen it; what opens one (RELEASE, GIVE), and boosts,
    only after the snapshot's cut-off.

    What is bought of the bank is held, for good once a night has seen it. A partner's offer nobody holds, and buying
    there again is what the night's models hope for: it rests for a time from the purchase, whatever is published
    meanwhile, and may come back then.

    A LIFT undoes the one suppression that it names, whichever of the two comes first and however often: each that is
    accepted has an id of its own, so what was accepted before it under another id, or after it, holds. ERASE nothing
    undoes, neither a LIFT nor a GIVE.
    """

    HOLD = "hold"  # the product counts as held
    RELEASE = "release"  # and no longer
    COOL_DOWN = "cool_down"  # the offer is not shown; of a product HOLD says
    SUPPRESS = "suppress"  # the item is not shown
    SUPPRESS_FAMILY = "suppress_family"  # nor any of its family, or of the one that the event names
    WITHDRAW = "withdraw"  # nothing is shown in the event's channel
    GIVE = "give"  # and again it may be
    ERASE = "erase"  # nothing is shown in the event's channel, whatever comes later
    LIFT = "lift"  # the suppression whose event it names counts no longer
    BOOST = "boost"  # the item moves up
    BOOST_FAMILY = "boost_family"  # everything of the family that was searched for moves up
    CONTACT = "contact"  # nothing here: the contact policy counts it
    FATIGUE = "fatigue"  # the item moves down, from `after` events on


@dataclass(frozen=True)
class OverlayKind:
    """`window` None is for good, or as long as the event itself says.

    `of_list`: without an item it is about all that the answer of its rec_id showed. `in_channel`: it suppresses only in
    the event's channel.
    """

    topic: str
    event_type: str
    effect: Effect
    window: timedelta | None = None
    strength: float = 0.0
    half_life: timedelta | None = None
    after: int = 1
    of_list: bool = False
    in_channel: bool = False


def _days(number: float) -> timedelta:
    return timedelta(days=number)


_OFFER_RESTS = _days(7)

# The window of what is held outlasts the oldest snapshot that a rollback may return to.
KINDS = (
    OverlayKind(PRODUCT_EVENTS, ProductEvent.OPENED, Effect.HOLD, _days(60)),
    OverlayKind(PRODUCT_EVENTS, ProductEvent.OPENED, Effect.COOL_DOWN, _OFFER_RESTS),
    OverlayKind(PRODUCT_EVENTS, ProductEvent.CLOSED, Effect.RELEASE, _days(60)),
    OverlayKind(PRODUCT_EVENTS, ProductEvent.DECLINED, Effect.SUPPRESS_FAMILY, _days(30)),
    OverlayKind(CAMPAIGNS, CampaignEvent.HELD_OUT, Effect.CONTACT, _days(60)),
    OverlayKind(CAMPAIGNS, CampaignEvent.SENT, Effect.CONTACT, _days(30)),
    OverlayKind(CAMPAIGNS, ContactEvent.RESERVED, Effect.CONTACT, _days(30)),
    OverlayKind(CAMPAIGNS, ContactEvent.RELEASED, Effect.CONTACT, _days(60)),
    OverlayKind(CAMPAIGNS, CampaignEvent.PURCHASED, Effect.HOLD, _days(60)),
    OverlayKind(CAMPAIGNS, CampaignEvent.PURCHASED, Effect.COOL_DOWN, _OFFER_RESTS),
    OverlayKind(CAMPAIGNS, CampaignEvent.DISMISSED, Effect.SUPPRESS, _days(30)),
    OverlayKind(CAMPAIGNS, CampaignEvent.SHOWN, Effect.FATIGUE, _days(14), strength=-1.5, after=3),
    OverlayKind(CAMPAIGNS, CampaignEvent.CLICKED, Effect.BOOST, _days(14), strength=0.8, half_life=_days(2)),
    OverlayKind(CAMPAIGNS, CampaignEvent.COMPLAINED, Effect.SUPPRESS),
    OverlayKind(CAMPAIGNS, CampaignEvent.COMPLAINED, Effect.WITHDRAW),
    OverlayKind(CAMPAIGNS, CampaignEvent.UNSUBSCRIBED, Effect.WITHDRAW),
    OverlayKind(TELEMETRY, TelemetryEvent.PRODUCT_VIEW, Effect.BOOST, _days(14), strength=0.8, half_life=_days(2)),
    OverlayKind(TELEMETRY, TelemetryEvent.SEARCH, Effect.BOOST_FAMILY, _days(7), strength=0.5, half_life=_days(1)),
    OverlayKind(FEEDBACK, FeedbackEvent.PURCHASED, Effect.HOLD, _days(60)),
    OverlayKind(FEEDBACK, FeedbackEvent.PURCHASED, Effect.COOL_DOWN, _OFFER_RESTS),
    OverlayKind(FEEDBACK, FeedbackEvent.DISMISSED, Effect.SUPPRESS, _days(30), of_list=True),
    OverlayKind(FEEDBACK, FeedbackEvent.CLICKED, Effect.BOOST, _days(14), strength=1.0, half_life=_days(2)),
    OverlayKind(FEEDBACK, FeedbackEvent.COMPLAINED, Effect.SUPPRESS),
    OverlayKind(FEEDBACK, FeedbackEvent.COMPLAINED, Effect.WITHDRAW),
    OverlayKind(FEEDBACK, FeedbackEvent.OPTED_OUT, Effect.WITHDRAW),
    OverlayKind(FEEDBACK, FeedbackEvent.OPTED_IN, Effect.GIVE),
    OverlayKind(SUPPRESSIONS, SuppressionEvent.CHANNEL, Effect.WITHDRAW),
    OverlayKind(SUPPRESSIONS, SuppressionEvent.PRODUCT, Effect.SUPPRESS, in_channel=True),
    OverlayKind(SUPPRESSIONS, SuppressionEvent.FAMILY, Effect.SUPPRESS_FAMILY, in_channel=True),
    OverlayKind(SUPPRESSIONS, SuppressionEvent.ERASURE, Effect.ERASE),
    OverlayKind(SUPPRESSIONS, SuppressionEvent.LIFTED, Effect.LIFT),
)

TOPICS = tuple(sorted({kind.topic for kind in KINDS}))

_AFTER_CUT_OFF = frozenset({Effect.BOOST, Effect.BOOST_FAMILY})
# Types of events that no rule asks for before the cut-off: most events are of these, and most are older than it.
FLEETING = tuple(
    sorted(
        {kind.event_type for kind in KINDS} - {kind.event_type for kind in KINDS if kind.effect not in _AFTER_CUT_OFF}
    )
)


def longest_window(topic: str, event_type: str) -> timedelta | None:
    """How long some rule needs an event: None for good, zero where no rule does."""
    windows = [kind.window for kind in KINDS if (kind.topic, kind.event_type) == (topic, event_type)]
    if None in windows:
        return None
    return max((window for window in windows if window is not None), default=timedelta())
