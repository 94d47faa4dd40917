"""What was: a person's stored events, and the answers that were given."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sql.client import Store


@dataclass(frozen=True)
class PastEvent:
    """A stored event; "" where it has no item, channel or family."""

    at: datetime
    topic: str
    event_type: str
    item_id: str
    channel: str
    family: str


def recent_events(store: Store, user_id: int, *, most: int) -> Sequence[PastEvent]:
    """Newest first."""
    return [PastEvent(*row) for row in store.rows("user_events_v1/recent", user_id=user_id, most=most)]


@dataclass(frozen=True)
class LoggedAnswer:
    """An answer as it was given, best item first; the item columns and `propensities` have equal length.

    `product_variant`, `offer_variant`: whose lists it was made of; None for a kind that was not asked for, and in
    answers that were logged before this was.
    """

    user_id: int
    channel: str
    kind: str
    variant: str
    tier: str
    top_k: int
    families: Sequence[str]
    exclude: Sequence[str]
    experiment: str | None
    arm: str
    screen: str | None
    placement: str | None
    search_family: str | None
    cart: Sequence[str]
    basket_product: str | None
    item_ids: Sequence[str]
    item_tiers: Sequence[str]
    item_scores: Sequence[float | None]
    propensities: Sequence[float]
    product_variant: str | None
    offer_variant: str | None


def logged_answer(store: Store, rec_id: str, *, at: int) -> LoggedAnswer | None:
    """`at`: the id's own time, in microseconds. None where it has not been logged, or no longer is."""
    rows = store.rows("exposures_v1/of_rec_id", rec_id=rec_id, at=at)
    return LoggedAnswer(*rows[0]) if rows else None
