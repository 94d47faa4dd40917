"""Campaigns of a night: who is worth what to each, one allocation over all of them, and its files.

Belongs here: the allocation, a pure core on arrays (`problem`, `choice`, `prices`, `allocate`, `exact`), and what is
around it. Does not: what a campaign says (data_contracts/campaigns), what may be shown (data_contracts/policy). No
module here needs Spark running.
"""
