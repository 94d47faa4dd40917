"""What a night is given, seen before anything is read of it and without Spark: `recs night` refuses by it at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from data_contracts.night import NightParams
from spark_jobs.ingest.deliveries import Delivery, find_deliveries, require_recent_days
from spark_jobs.ingest.reference import Reference, read_reference


@dataclass(frozen=True)
class Given:
    deliveries: Sequence[Delivery]
    reference: Reference | None


def look(params: NightParams) -> Given:
    """Raises InputError for a folder that is missing, an as-of without days, or reference documents that are wrong."""
    found = find_deliveries(params)
    require_recent_days(found, params)
    return Given(found, read_reference(params.sources.reference) if params.sources.reference else None)
