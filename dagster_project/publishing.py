"""Whether a run may move the pointer: a night may, a repair of the past may not unless somebody asked for it."""

from collections.abc import Mapping
from datetime import date

from data_contracts.night import parse_snapshot_id

PUBLISH_TAG = "recs/publish"
PUBLISH = {PUBLISH_TAG: "yes"}
_BACKFILL_TAG = "dagster/backfill"


def reason_not_to_publish(tags: Mapping[str, str], *, as_of: date, current: str | None) -> str | None:
    """In words, with what to do; None where the run may publish. `current`: the snapshot that is served now."""
    asked = tags.get(PUBLISH_TAG)
    if asked == "yes":
        return None
    how = f"to publish it nevertheless, run recs publish, or tag the run {PUBLISH_TAG}=yes"
    if asked is not None:
        return f"the run is tagged {PUBLISH_TAG}={asked}; {how}"
    if _BACKFILL_TAG in tags:
        return f"a backfill repairs the past and publishes nothing; {how}"
    if current is not None and parse_snapshot_id(current)[0] > as_of:
        return f"{current}, which is served, is newer; {how}"
    return None
