"""Campaigns: whom the bank goes to with what, how often and until when (`*.yaml` here, or in RECS_CAMPAIGNS), and
above the files what was proposed and approved (sql/proposals). Pure.

Belongs here: what a campaign says, its files, what it may not say, and who is in its control group.
Does not: who is chosen (spark_jobs/campaigns), what may be shown (data_contracts/policy).
"""

from data_contracts.campaigns.model import Audience, Basis, Campaign, held_out
from data_contracts.campaigns.reading import Known, campaign_of, campaigns_in, check_campaign

__all__ = [
    "Audience",
    "Basis",
    "Campaign",
    "Known",
    "campaign_of",
    "campaigns_in",
    "check_campaign",
    "held_out",
]
