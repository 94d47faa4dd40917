"""Which sources feed which table, and from it what a night did to each: rows read, rejected and why, and a fingerprint.

A table's fingerprint is over the deliveries that it is made of, as far as the as-of sees them: it changes when one of
them does, and is the same when a night is run again, whatever other nights wrote between.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, timedelta

from data_contracts.tables import contract, table_names
from spark_jobs.ingest import silver
from spark_jobs.ingest.contents import Checked
from spark_jobs.ingest.ledger import DELIVERIES, Key, Ledger
from spark_jobs.ingest.sources import BY_NAME, SOURCES

FED_BY: dict[str, tuple[str, ...]] = {
    DELIVERIES: tuple(source.name for source in SOURCES),
    silver.INTERACTIONS: tuple(behaviour.source for behaviour in silver.BEHAVIOURS),
    **{table: (source,) for table, source in silver.EVENT_TABLES.items()},
    "silver.customers": ("customers",),
    "silver.aggregates": ("aggregates",),
    "silver.holdings": ("holdings", "product_events"),
    "silver.items": tuple(source.name for source in SOURCES if source.name.endswith("_items")),
    "silver.brands": ("brands",),
    "silver.people": ("users",),
}


def fingerprint(table: str, ledger: Ledger, *, as_of: date) -> str:
    """SHA-256 over the contract's version and every delivery that the table is made of."""
    digest = hashlib.sha256(contract(table).version.encode() if table in table_names() else b"")
    for key in sorted(ledger, key=str):
        source, day = key
        if source in FED_BY[table] and _is_seen(source, day, as_of):
            digest.update(f"\n{source} {day} {ledger[key].fingerprint}".encode())
    return digest.hexdigest()


def rows_read(table: str, checked: Iterable[Checked]) -> int:
    """Delivered rows that a night looked at for a table."""
    return sum(one.rows for one in checked if one.delivery.source.name in FED_BY[table])


def rejected_for(table: str, rejected: Mapping[Key, Counter[str]]) -> Counter[str]:
    """Rows kept out of a table, by `source: reason`."""
    reasons: Counter[str] = Counter()
    for (source, _), bad in rejected.items():
        if source in FED_BY[table]:
            reasons.update({f"{source}: {reason}": count for reason, count in bad.items()})
    return reasons


def _is_seen(source: str, day: date | None, as_of: date) -> bool:
    """Events of days before the as-of, exports up to it."""
    known = BY_NAME.get(source)
    last = as_of - timedelta(days=1) if known is None or known.has_events else as_of
    return day is None or day <= last
