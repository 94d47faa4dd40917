"""What a campaign is: values that validate themselves. A complaint begins with the field that it is about."""

from collections.abc import Iterable
from datetime import date
from enum import StrEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_serializer, model_validator

from data_contracts.catalogue import Catalogue, LocalText, Product
from data_contracts.experiments.assign import point, salt_number
from data_contracts.vocabulary import Channel, Family

_NAME = r"^[a-z][a-z0-9_]*$"


class Basis(StrEnum):
    """Which lists choose a user's product: by expected value, or by what a contact adds (RECS_OUTBOUND_VARIANTS).

    Either way a contact is worth the chance to open times the product's value: uplift lists tell an order, no amount.
    """

    PERSONAL = "personal"
    UPLIFT = "uplift"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Audience(_Value):
    """Who may be asked; an absent condition does not restrict. `size`: only the best so many of those who may be."""

    segments: frozenset[int] | None = Field(None, min_length=1)
    min_score: float = Field(0.0, ge=0, lt=1, description="least chance to open within the horizon")
    size: int | None = Field(None, ge=1, description="users, the best by expected value")
    variant: Basis = Basis.PERSONAL

    @field_serializer("segments", when_used="json-unless-none")
    def _in_order(self, segments: Iterable[int]) -> list[int]:
        return sorted(segments)


class Campaign(_Value):
    """One product, or the best of some families for each user, over one channel.

    priority: what a rouble of this campaign is worth beside one of another. Priorities weigh, they do not queue: so all
    campaigns are one allocation with one bound, and no campaign takes a user for a kopeck from one that loses a rouble;
    who wants a queue gives weights far apart.
    """

    name: str = Field(pattern=_NAME, max_length=64)
    product: str | None = None
    families: frozenset[Family] | None = Field(None, min_length=1)
    audience: Audience = Audience()
    channel: Channel
    start: date
    end: date = Field(description="first day on which it runs no longer, in the bank's time zone")
    budget: int = Field(ge=1, description="contacts over all its days")
    priority: float = Field(1.0, gt=0, le=1000)
    control_share: float = Field(0.1, ge=0, le=0.5, description="of the audience, by hash; never contacted")
    message: LocalText
    exclusive_with: frozenset[str] = Field(frozenset(), description="campaigns of which a user gets only one")
    owner: str = Field(min_length=1)
    enabled: bool = True

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.product is not None and self.families is not None:
            raise ValueError("families: a campaign is about a product or about families, not both")
        if self.product is None and self.families is None:
            raise ValueError("product: missing, and no families either")
        if self.end <= self.start:
            raise ValueError("end: lies before the first day has passed")
        if self.name in self.exclusive_with:
            raise ValueError("exclusive_with: a campaign cannot exclude itself")
        if self.audience.size is not None and self.budget > self.audience.size:
            raise ValueError("budget: is more contacts than the audience has users")
        if not self.message.en.strip() or not self.message.ru.strip():
            raise ValueError("message: is empty")
        return self

    @field_serializer("families", "exclusive_with", when_used="json-unless-none")
    def _in_order(self, words: Iterable[str]) -> list[str]:
        """So that the same campaign gives the same JSON."""
        return sorted(words)

    def runs_on(self, day: date) -> bool:
        return self.enabled and self.start <= day < self.end

    def advertises(self, product: Product) -> bool:
        """Whether the campaign is about the product, offered in its channel or not."""
        return product.product_id == self.product or (self.families is not None and product.family in self.families)

    def products(self, catalogue: Catalogue) -> tuple[Product, ...]:
        """What it offers: its products that the catalogue has in its channel, in catalogue order."""
        return tuple(one for one in catalogue.products if self.advertises(one) and self.channel in one.channels)


def held_out(campaign: Campaign, user_ids: NDArray[Any]) -> NDArray[np.bool_]:
    """Who is in the campaign's control group, [N]: the hash that deals experiments, so the same on every day."""
    bound = np.uint64(min(round(campaign.control_share * 2**64), 2**64 - 1))
    return np.asarray(point(user_ids.astype(np.uint64), salt_number(f"campaign {campaign.name}")) < bound)
