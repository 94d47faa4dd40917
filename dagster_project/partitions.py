"""One partition a night: the night of D looks from 00:00 of D and sees the days before D."""

import dagster as dg

from data_contracts.settings import Settings


def nights(settings: Settings) -> dg.DailyPartitionsDefinition:
    # The night of D runs in the first hours of D, so D itself must already be a partition: end_offset.
    return dg.DailyPartitionsDefinition(
        start_date=settings.tecd_day_zero.isoformat(), timezone=settings.timezone, end_offset=1
    )
