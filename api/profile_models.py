"""Shapes of what the bank's own people may see of a user."""

from pydantic import BaseModel, ConfigDict, Field

from api.models import UserId


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Holding(_Answer):
    product_id: str
    seen_in: str = Field(description="`snapshot`, or `events`: opened since then")


class Consents(_Answer):
    """What the user agrees to now, streamed opt-outs included."""

    mobile: bool
    web: bool
    crm: bool
    profiling: bool


class Attributes(_Answer):
    """What eligibility goes by; null where it is not known."""

    birth_year: int | None
    region: int | None
    income_band: int | None
    employment: str | None
    score_band: int | None
    arrears_days: int | None


class ListedItem(_Answer):
    item_id: str
    score: float = Field(description="calibrated probability within the horizon")
    reason_codes: list[int]


class RecentEvent(_Answer):
    at: str
    topic: str
    event_type: str
    item_id: str | None
    channel: str | None
    family: str | None = Field(description="that a search was about")


class Profile(_Answer):
    user_id: UserId
    snapshot_id: str
    is_known: bool = Field(description="whether the policy knows them; else only what is safe for anyone is shown")
    segment: int | None
    holdings: list[Holding] = Field(description="as of now, by product")
    consents: Consents
    attributes: Attributes
    top_products: list[ListedItem] = Field(description="top of the stored list, before policy and events")
    top_offers: list[ListedItem]
    recent_events: list[RecentEvent] = Field(description="stored for the overlay, newest first")


PROFILE = {
    "user_id": "1000042",
    "snapshot_id": "2026-03-15.1",
    "is_known": True,
    "segment": 3,
    "holdings": [{"product_id": "card_gold", "seen_in": "snapshot"}],
    "consents": {"mobile": True, "web": True, "crm": False, "profiling": True},
    "attributes": {
        "birth_year": 1988,
        "region": 77,
        "income_band": 2,
        "employment": "employed",
        "score_band": 2,
        "arrears_days": 0,
    },
    "top_products": [{"item_id": "deposit_year", "score": 0.0412, "reason_codes": [1]}],
    "top_offers": [],
    "recent_events": [
        {
            "at": "2026-03-16T08:59:12+00:00",
            "topic": "digital.telemetry",
            "event_type": "product_view",
            "item_id": "deposit_year",
            "channel": None,
            "family": None,
        }
    ],
}
