"""Shapes of requests and answers. They document and validate what comes in; answers are built by `answers`."""

import re
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from data_contracts.vocabulary import Family, Kind, Tier, Variant

LARGEST_USER_ID = 2**63 - 1
_WHOLE = re.compile(r"-?[0-9]{1,20}")


class Locale(StrEnum):
    EN = "en"
    RU = "ru"


def _whole_number(value: object) -> int:
    """Digits as text, or a JSON integer; nothing that only looks like one (1.0, true, +1, ' 1')."""
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("must be a whole number, as a number or as a string of digits")


UserId = Annotated[
    int,
    Field(ge=0, le=LARGEST_USER_ID),
    BeforeValidator(_whole_number),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {"type": "string", "pattern": "^[0-9]{1,19}$", "description": "from 0 to 9223372036854775807 (2^63 - 1)"}
    ),
]
TopK = Annotated[int, Field(ge=1, le=100), BeforeValidator(_whole_number)]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Reason(_Answer):
    code: int
    text: str


class Recommendation(_Answer):
    product_id: str = Field(description="id of the product or offer")
    product_name: str
    kind: Kind
    family: Family | None = Field(description="family of a product; null for offers")
    score: float | None = Field(
        description="calibrated probability within the horizon; null where the static list has none"
    )
    tier: Tier = Field(description="the list this item came from")
    reasons: list[Reason]


class Recommendations(_Answer):
    """An answer. `tier` is where its best item came from; the list is filled up from the next tiers."""

    rec_id: str = Field(description="signed over user, channel, snapshot, policy hash and time")
    user_id: UserId = Field(description="always a string, so that JavaScript loses no digits")
    timestamp: str = Field(description="when it was answered, UTC", json_schema_extra={"format": "date-time"})
    snapshot_id: str | None = Field(description="the one snapshot all of it is from; null before the first")
    snapshot_age_s: int | None = Field(description="seconds since the moment up to which the snapshot saw its sources")
    tier: Tier
    variant: Variant
    policy_hash: str = Field(description="of catalogue, rules and blocks that were applied")
    recommendations: list[Recommendation]


class Alive(_Answer):
    status: str


class Readiness(_Answer):
    tier: Tier = Field(description="the best tier that could be served now")
    reasons: list[str] = Field(description="why it is not personal")
    snapshot_id: str | None
    policy_hash: str


class SnapshotInfo(_Answer):
    snapshot_id: str
    state: str
    is_current: bool = Field(description="whether this service answers from it now")
    moved_at: str


class Snapshots(_Answer):
    current: str | None
    snapshots: list[SnapshotInfo]


class FieldError(_Answer):
    field: str
    message: str


class Problem(_Answer):
    """An error, as RFC 9457 has it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldError] = Field([], description="the fields that are wrong")
