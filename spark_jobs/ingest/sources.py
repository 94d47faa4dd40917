"""Which sources a night may read, where they lie under their root, and which bronze table each fills.

A new source is one entry of `SOURCES` and one bronze contract; if it carries behaviour, also one of
`silver.BEHAVIOURS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Literal

from data_contracts.night import NightParams
from data_contracts.tables import Column, TableContract, contract

Origin = Literal["tecd", "dwh", "events"]

_OWN_COLUMNS = ("day", "rejected")


class Layout(StrEnum):
    """How a source's folder tells days apart."""

    NUMBERED = "numbered"  # 01294.pq: T-ECD's integer day
    HOURLY = "hourly"  # 2026-03-15/07/part-0.avro: landed topics
    EXPORTED = "exported"  # dt=2026-03-15/part-0.parquet: full exports, the state at 00:00 of that date
    WHOLE = "whole"  # one file, no days


# What a path within the folder of a dated source looks like; the group is the day. Java and Python read it alike.
PATTERNS: dict[Layout, str] = {
    Layout.NUMBERED: r"(\d{5,})\.pq$",
    Layout.HOURLY: r"(\d{4}-\d{2}-\d{2})/\d{2}/[^/]+\.avro$",
    Layout.EXPORTED: r"dt=(\d{4}-\d{2}-\d{2})/[^/]+\.parquet$",
}


@dataclass(frozen=True)
class Source:
    """`folder` is relative to the root of the source's origin; of a WHOLE source it is the file."""

    name: str
    origin: Origin
    folder: str
    layout: Layout

    @property
    def table(self) -> str:
        return f"bronze.{self.name}"

    @property
    def contract(self) -> TableContract:
        return contract(self.table)

    @property
    def file_columns(self) -> tuple[Column, ...]:
        """The columns that a delivered file must have."""
        return tuple(column for column in self.contract.columns if column.name not in _OWN_COLUMNS)

    @property
    def is_dated(self) -> bool:
        return self.layout is not Layout.WHOLE

    @property
    def has_events(self) -> bool:
        return self.layout in (Layout.NUMBERED, Layout.HOURLY)

    def root(self, params: NightParams) -> str | None:
        uri: str | None = getattr(params.sources, self.origin)
        return uri


def day_of(layout: Layout, params: NightParams) -> Callable[[str], date]:
    """From the first group of the layout's pattern to a date."""
    if layout is Layout.NUMBERED:
        return lambda text: params.tecd_date(int(text))
    return date.fromisoformat


SOURCES: tuple[Source, ...] = (
    Source("marketplace_events", "tecd", "marketplace/events", Layout.NUMBERED),
    Source("retail_events", "tecd", "retail/events", Layout.NUMBERED),
    Source("offers_events", "tecd", "offers/events", Layout.NUMBERED),
    Source("payments_events", "tecd", "payments/events", Layout.NUMBERED),
    Source("payments_receipts", "tecd", "payments/receipts", Layout.NUMBERED),
    Source("reviews", "tecd", "reviews", Layout.NUMBERED),
    Source("marketplace_items", "tecd", "marketplace/items.pq", Layout.WHOLE),
    Source("retail_items", "tecd", "retail/items.pq", Layout.WHOLE),
    Source("offers_items", "tecd", "offers/items.pq", Layout.WHOLE),
    Source("brands", "tecd", "brands.pq", Layout.WHOLE),
    Source("users", "tecd", "users.pq", Layout.WHOLE),
    Source("customers", "dwh", "customers", Layout.EXPORTED),
    Source("holdings", "dwh", "holdings", Layout.EXPORTED),
    Source("aggregates", "dwh", "aggregates", Layout.EXPORTED),
    Source("transactions", "events", "bank.transactions", Layout.HOURLY),
    Source("product_events", "events", "bank.product_events", Layout.HOURLY),
    Source("campaign_interactions", "events", "campaign.interactions", Layout.HOURLY),
    Source("telemetry", "events", "digital.telemetry", Layout.HOURLY),
)
BY_NAME: dict[str, Source] = {source.name: source for source in SOURCES}
