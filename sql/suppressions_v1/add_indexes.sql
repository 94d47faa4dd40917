-- The table is in order of time; it is also asked by what was accepted, under which key and of whom.
ALTER TABLE suppressions -- noqa: PRS
    ADD INDEX IF NOT EXISTS by_id suppression_id TYPE bloom_filter GRANULARITY 1,
    ADD INDEX IF NOT EXISTS by_key idempotency_key TYPE bloom_filter GRANULARITY 1,
    ADD INDEX IF NOT EXISTS by_user user_id TYPE bloom_filter GRANULARITY 1
