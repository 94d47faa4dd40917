"""Backup and restore of what cannot be rebuilt: events as they landed, what users and operators decided, who people
are, and the models with their register; and the served snapshots, so that a restore answers before the next night.

Everything else of the lake is made again from deliveries by `recs night` and `recs backfill`.
"""
