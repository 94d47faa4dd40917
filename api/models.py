"""Shapes of requests and answers. They document and validate what comes in; answers are built by `answers`."""

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

from data_contracts.context import NO_CONTEXT
from data_contracts.context import Context as Meant
from data_contracts.search import family_of_search
from data_contracts.vocabulary import Channel, Family, Kind, Placement, Screen, Tier, Variant

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
MOST_ITEMS, USUAL_ITEMS = 100, 10
TopK = Annotated[int, Field(ge=1, le=MOST_ITEMS), BeforeValidator(_whole_number)]


# Ids of products and offers, as the catalogue and partners give them.
ItemId = Annotated[str, Field(min_length=1, max_length=128)]
LARGEST_BATCH = 1_000
MOST_EXCLUDED = 200
MOST_IN_CART = 50
SearchText = Annotated[str, Field(min_length=1, max_length=256)]
KIND_IS = "bank products, or partners' offers; not given: what the placement mixes, products where there is none"


def _one_zone(moment: datetime) -> datetime:
    """The same moment is written in one way, so that the same feedback gets the same id."""
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("must be a moment of the years 1 to 9999") from error


def _small_context(context: dict[str, Any]) -> dict[str, Any]:
    """What is known by name has its type; gRPC's attributes are all strings, and a position may come as one."""
    product_id, position = context.get("product_id"), context.get("position")
    if any(isinstance(value, int) and abs(value) > 2**53 for value in context.values()):
        raise ValueError("numbers must be within 2^53, as JavaScript's are")
    if product_id is not None and not (isinstance(product_id, str) and 1 <= len(product_id) <= 128):
        raise ValueError("product_id must be a string of 1 to 128 characters")
    if position is not None:
        position = _whole_number(position)
        if not 1 <= position <= 100:
            raise ValueError("position must be from 1 to 100")
        return {**context, "position": position}
    return context


Word = Annotated[str, Field(max_length=64)]
Scalar = Annotated[str, Field(max_length=256)] | bool | int | Annotated[float, Field(allow_inf_nan=False)] | None
Context = Annotated[dict[Word, Scalar], Field(max_length=20), AfterValidator(_small_context)]


def named(loc: tuple[int | str, ...]) -> str:
    """The field that an error is about, from where pydantic found it: `top_k`, `context.screen`."""
    return ".".join([part for part in loc if isinstance(part, str)][:2])


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AskedContext(_Request):
    """What the caller knows of the place and moment. It changes the order, and what a placement mixes; ids and words
    that nobody knows change nothing.
    """

    screen: Screen | None = Field(None, description="screen of the app")
    placement: Placement | None = Field(
        None, description="place on it; without `kind` it says how products and offers are mixed"
    )
    search: SearchText | None = Field(None, description="words that were searched for; only their family is kept")
    cart: tuple[ItemId, ...] = Field((), description="items in the cart", max_length=MOST_IN_CART)
    basket_product: ItemId | None = Field(None, description="product that is being taken now")

    def meant(self) -> Meant:
        """Without the words of the search, which may say anything about a person."""
        family = family_of_search(self.search) if self.search else None
        return Meant(self.screen, self.placement, family, self.cart, self.basket_product)


class Wishes(_Request):
    """What is asked for, whoever is asked for."""

    channel: Channel = Field(description="where the answer will be shown")
    top_k: TopK = Field(USUAL_ITEMS, description="most items to answer")
    kind: Kind | None = Field(None, description=KIND_IS)
    locale: Locale = Field(Locale.EN, description="language of names and reasons")
    families: frozenset[Family] = Field(
        frozenset(), description="products of these families only; offers have no family", max_length=len(Family)
    )
    exclude: frozenset[ItemId] = Field(
        frozenset(), description="products or offers not to answer, such as those on screen", max_length=MOST_EXCLUDED
    )
    context: AskedContext | None = Field(None, description="where and when it is asked")

    @property
    def meant(self) -> Meant:
        return self.context.meant() if self.context else NO_CONTEXT


class OneAsked(Wishes):
    user_id: UserId = Field(description="internal id of the user")


class ManyAsked(Wishes):
    user_ids: Annotated[list[UserId], Field(min_length=1, max_length=LARGEST_BATCH)] = Field(
        description="internal ids; each is answered, in this order"
    )


class FeedbackType(StrEnum):
    CLICK = "click"
    DISMISS = "dismiss"
    PURCHASE = "purchase"


class Feedback(_Request):
    """What a user did about an answer: about one product of it, where `context` names one, else about all of it."""

    rec_id: str = Field(min_length=1, max_length=256, description="of the answer")
    user_id: UserId = Field(description="whose answer it was")
    event_type: FeedbackType
    timestamp: Annotated[AwareDatetime, AfterValidator(_one_zone)] = Field(
        description="when it happened, with its time zone"
    )
    context: Context = Field({}, description="`product_id`, `position` from 1, and what else is worth keeping")


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


class Experiment(_Answer):
    name: str
    arm: str


class Recommendations(_Answer):
    """An answer. `tier` is where its best item came from; the list is filled up from the next tiers."""

    rec_id: str = Field(description="signed over user, channel, snapshot, policy hash and time")
    user_id: UserId = Field(description="always a string, so that JavaScript loses no digits")
    timestamp: str = Field(description="when it was answered, UTC", json_schema_extra={"format": "date-time"})
    snapshot_id: str | None = Field(description="the one snapshot all of it is from; null before the first")
    snapshot_age_s: int | None = Field(description="seconds since the moment up to which the snapshot saw its sources")
    tier: Tier
    variant: Variant
    experiment: Experiment | None = Field(description="that the user is in, and its arm; null where none runs")
    policy_hash: str = Field(description="of catalogue, rules and blocks that were applied")
    recommendations: list[Recommendation]


class Batch(_Answer):
    answers: list[Recommendations] = Field(description="one a user, in the order asked")


class FeedbackTaken(_Answer):
    id: str = Field(description="the same for the same feedback")
    status: str = Field(description="accepted: it is on disk, and will arrive")
    is_expired: bool = Field(description="whether the answer is older than answers are good for")


class ProductInfo(_Answer):
    product_id: str
    family: Family
    name_en: str
    name_ru: str
    channels: list[Channel] = Field(description="where it may be shown")
    is_on_sale: bool = Field(description="today, at the bank")
    is_blocked: bool = Field(description="under a compliance stop")


class Products(_Answer):
    policy_hash: str = Field(description="of catalogue, rules and blocks that are applied now")
    products: list[ProductInfo]


class PortraitLine(_Answer):
    feature: str
    holders_mean: float | None = Field(description="mean over the product's holders; null where nothing is known")
    everyone_mean: float | None = Field(description="mean over all users")


class Portrait(_Answer):
    product_id: str
    snapshot_id: str
    holders: int = Field(description="how many hold it")
    features: list[PortraitLine]


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
