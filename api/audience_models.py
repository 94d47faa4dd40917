"""Shapes of audiences: what is asked for, and what came out."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.models import ItemId
from data_contracts.vocabulary import Channel

MOST_MEMBERS = 1_000_000
# As long as the overlay keeps what was sent.
MOST_CONTACTED_DAYS = 30


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AudienceOrder(_Value):
    product_id: ItemId
    channel: Channel = Channel.CRM
    size: int = Field(ge=1, le=MOST_MEMBERS, strict=True, description="users, the control group included")
    min_score: Annotated[float, Field(ge=0, le=1)] = Field(0, description="least probability within the horizon")
    segments: frozenset[Annotated[int, Field(ge=0, le=32_767)]] = Field(
        frozenset(), max_length=100, description="users of these segments only"
    )
    exclude_holders: bool = Field(
        False, description="also those who hold another product of its family; who holds the product never is in it"
    )
    exclude_contacted_days: float = Field(
        0, ge=0, le=MOST_CONTACTED_DAYS, description="without those to whom anything was sent within so many days"
    )
    variant: Literal["personal", "uplift"] = Field(
        "personal",
        description="what ranks users: the product's probability, or what being shown it adds to that, where the night "
        "makes lists by uplift",
    )
    control_share: float = Field(0, ge=0, le=0.9, description="share of it that nobody contacts")


class Interval(_Value):
    """With its 95 % interval, as if users decided independently."""

    expected: float
    low: float
    high: float


class ScoreShare(_Value):
    """Members whose probability lies from `least` to the next one's."""

    least: float
    members: int


class Overlap(_Value):
    audience_id: str
    members: int = Field(description="users in both")


class Outcome(_Value):
    """`members` are contacted, `control` are not. `short` says why there are fewer than asked for; "" where not."""

    size: int
    members: int
    control: int
    short: str
    least_score: float | None
    scores: tuple[ScoreShare, ...]
    conversions: Interval = Field(description="of members")
    revenue: Interval = Field(description="conversions by the product's value")
    overlaps: tuple[Overlap, ...] = Field((), description="with audiences of the last 30 days, at most 20 of them")


class Preview(_Value):
    snapshot_id: str
    outcome: Outcome


class Audience(_Value):
    id: str
    status: Literal["ready", "confirming", "sent", "cancelled"] = "ready"
    contacts: int | None = Field(None, description="counted when it was sent")
    snapshot_id: str
    created_at: datetime
    actor: str
    request: AudienceOrder
    outcome: Outcome
