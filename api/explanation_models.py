"""Shapes of an explanation."""

from pydantic import BaseModel, ConfigDict, Field

from api.models import Experiment, Reason, UserId
from data_contracts.vocabulary import Channel, Family, Kind, Placement, Screen, Tier


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ShownItem(_Answer):
    item_id: str
    position: int = Field(description="in the answer, from 1")
    listed_at: int | None = Field(description="place before wishes, events and policy, from 1; null where not rebuilt")
    tier: Tier
    score: float | None
    boost: float = Field(description="log-odds that events added; 0 where none did")
    context_boost: float = Field(description="log-odds that the context, or what the user held, added")
    reasons: list[Reason]


class DroppedItem(_Answer):
    item_id: str
    listed_at: int | None = Field(description="place before wishes, events and policy; null for one that was not there")
    tier: Tier = Field(description="the list that offered it")
    score: float | None
    rule: str = Field(
        description="of the policy, or not_in_catalogue, not_wished, suppressed, withdrawn, contact_policy"
    )
    why: str


class PolicyThen(_Answer):
    """With which rules the explanation was made."""

    hash: str = Field(description="that the answer passed")
    rebuilt_hash: str = Field(description="that this explanation was made with")
    todays_hash: str
    is_rebuilt: bool = Field(description="whether the drops are by the very rules of then")
    is_todays: bool = Field(description="whether the rules of then hold today")


class ContextThen(_Answer):
    """What the caller told of place and moment; of a search its family, since its words are kept nowhere."""

    screen: Screen | None
    placement: Placement | None
    search_family: Family | None
    cart: list[str]
    basket_product: str | None


class Explanation(_Answer):
    rec_id: str
    user_id: UserId
    timestamp: str
    channel: Channel
    kind: Kind | None = Field(description="null where the placement mixed both")
    top_k: int
    families: list[Family]
    exclude: list[str]
    context: ContextThen
    snapshot_id: str | None
    tier: Tier
    variant: str
    experiment: Experiment | None
    policy: PolicyThen
    agrees: bool = Field(description="whether the rebuilt answer is the logged one, item by item")
    events: int = Field(
        description="streamed events that were taken into account; a list's dismissal once more an item"
    )
    notes: list[str] = Field(description="what else decided on the answer, or weakens this explanation")
    shown: list[ShownItem] = Field(description="as it was logged, in the answer's order")
    dropped: list[DroppedItem] = Field(description="what stood in the lists and was not shown, best first")


EXPLANATION = {
    "rec_id": "AQIABk0W5aQ8AC0Lm1m8pX6sMjAyNi0wMy0xNS4xN0dKqWcTgq0Nn1rN3yqk7A",
    "user_id": "1000042",
    "timestamp": "2026-03-16T09:00:00+00:00",
    "channel": "web",
    "kind": "product",
    "top_k": 1,
    "families": [],
    "exclude": [],
    "context": {"screen": "cards", "placement": None, "search_family": "card", "cart": [], "basket_product": None},
    "snapshot_id": "2026-03-15.1",
    "tier": "personal",
    "variant": "personal",
    "experiment": None,
    "policy": {
        "hash": "2d0b9b59bca57eac",
        "rebuilt_hash": "2d0b9b59bca57eac",
        "todays_hash": "91c40d77e5a3b0f2",
        "is_rebuilt": True,
        "is_todays": False,
    },
    "agrees": True,
    "events": 2,
    "notes": ["the rules have changed since this answer"],
    "shown": [
        {
            "item_id": "card_gold",
            "position": 1,
            "listed_at": 2,
            "tier": "personal",
            "score": 0.0412,
            "boost": 0.0,
            "context_boost": 2.1,
            "reasons": [{"code": 1, "text": "Fits what you spend on"}],
        }
    ],
    "dropped": [
        {
            "item_id": "loan_cash",
            "listed_at": 1,
            "tier": "personal",
            "score": 0.0531,
            "rule": "not_eligible",
            "why": "the user is not eligible for it",
        }
    ],
}
