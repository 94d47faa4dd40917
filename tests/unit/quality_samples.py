"""How rankers fared on a night's newest cases, as tests of gate, drift and report say it."""

import json
from datetime import UTC, datetime, timedelta

from data_contracts.quality import QUALITY_FILE, FamilyCases, Interval, NightQuality, RankerQuality
from spark_jobs.lake.files import write_bytes

END = datetime(2026, 3, 16, tzinfo=UTC)


def fared(positives: dict[str, int], *, cases: int = 100_000, auc: float | None = None) -> RankerQuality:
    """cases: of each family; positives: of each how many happened."""
    families = {name: FamilyCases(cases=cases, positives=one, predicted=250) for name, one in positives.items()}
    told = {} if auc is None else {"auc": _around(auc), "log_loss": _around(0.02)}
    return RankerQuality(
        model="version 1", start=END - timedelta(days=7), end=END, users=20_000, families=families, **told
    )


def beside(**rankers: RankerQuality) -> dict[str, dict[str, object]]:
    """As a document beside the night's models, by its path."""
    return {QUALITY_FILE: NightQuality(rankers=rankers).model_dump(mode="json")}


def leave(models_uri: str, **rankers: RankerQuality) -> None:
    write_bytes(f"{models_uri}/{QUALITY_FILE}", json.dumps(beside(**rankers)[QUALITY_FILE]).encode())


def _around(value: float) -> Interval:
    return Interval(value=value, low=value * 0.98, high=value * 1.02)
