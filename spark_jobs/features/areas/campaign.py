"""What campaigns showed a user, and what the user answered."""

from collections.abc import Iterator

from data_contracts.columns import EVENT_TYPE, FAMILY
from data_contracts.vocabulary import CampaignEvent
from spark_jobs.features.base import FAMILIES, Categories, Feature, days_since, decayed_count
from spark_jobs.features.sources import CAMPAIGNS

_KINDS = (CampaignEvent.SHOWN, CampaignEvent.CLICKED, CampaignEvent.DISMISSED)


def features(_: Categories) -> Iterator[Feature]:
    for kind in _KINDS:
        for days in (7, 30):
            yield _count(f"f_campaign_{kind}_{days}d", {EVENT_TYPE: kind}, days, f"contacts {kind}")
        for family in FAMILIES:
            words = {EVENT_TYPE: kind, FAMILY: family}
            yield _count(f"f_campaign_{kind}_30d_{family}", words, 30, f"contacts about {family} {kind}")
    shown = days_since({EVENT_TYPE: CampaignEvent.SHOWN})
    yield Feature("f_campaign_days_since_shown", "days since a campaign showed anything", "days", CAMPAIGNS, shown)


def _count(name: str, words: dict[str, str], days: int, what: str) -> Feature:
    return Feature(name, f"decayed count of {what}", "events", CAMPAIGNS, decayed_count(words, days), days)
