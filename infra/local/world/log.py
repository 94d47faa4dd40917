"""What the openings process did on a day, as rows that the writers of events read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from infra.local.world.arrays import Bytes, Ints, SmallInts


@dataclass(frozen=True)
class Rows:
    """Columns of equal length; `user` counts people."""

    user: Ints

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        return cls(
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__}
        )

    def moved(self, offset: int) -> Self:
        """The same rows with users counted from elsewhere."""
        return type(self)(**{**vars(self), "user": self.user + offset})


@dataclass(frozen=True)
class IntentRows(Rows):
    """Who wants something of a family today, and which product."""

    family: Bytes
    wish: SmallInts


@dataclass(frozen=True)
class ProductRows(Rows):
    """Steps to and from products; `kind` counts in ProductEvent."""

    product: SmallInts
    kind: Bytes
    second: Ints


@dataclass(frozen=True)
class CampaignRows(Rows):
    """Contacts; `kind` counts in CampaignEvent, `channel` in Channel, `wave` is the day of the campaign."""

    family: Bytes
    product: SmallInts
    channel: Bytes
    kind: Bytes
    second: Ints
    wave: SmallInts


@dataclass(frozen=True)
class SpellRows(Rows):
    """Times of holding; `closed` is NEVER while held."""

    product: SmallInts
    opened: SmallInts
    closed: SmallInts


@dataclass(frozen=True)
class DayLog:
    intents: IntentRows
    products: ProductRows
    campaigns: CampaignRows

    @staticmethod
    def concat(parts: Sequence["DayLog"]) -> "DayLog":
        return DayLog(
            intents=IntentRows.concat([part.intents for part in parts]),
            products=ProductRows.concat([part.products for part in parts]),
            campaigns=CampaignRows.concat([part.campaigns for part in parts]),
        )

    def moved(self, offset: int) -> "DayLog":
        return DayLog(self.intents.moved(offset), self.products.moved(offset), self.campaigns.moved(offset))
