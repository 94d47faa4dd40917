"""The sample world: people with hidden causes, and everything that partners, warehouse and bank record of them.

    from infra.local.world import generate
    generate(Path("world"), users=300, days=20, seed=7, last_date=date(2026, 3, 16), horizon_days=7)

Belongs here: the process behind the data and the writers of each source's layout. Does not: anything that a night runs.
"""

from infra.local.world.generate import WorldSummary, generate

__all__ = ["WorldSummary", "generate"]
