-- Grain: one suppression as it was accepted: who is no longer addressed, where, about what, why and by whom. What it
-- does is in user_events, which is written first. Kept for good, until its user is erased.
CREATE TABLE IF NOT EXISTS suppressions (
    accepted_at DateTime64(6, 'UTC'),
    suppression_id String,
    place UInt32,
    user_id UInt64,
    kind LowCardinality(String),
    channel LowCardinality(String),
    product_id String,
    family LowCardinality(String),
    until Nullable(DateTime64(6, 'UTC')),
    reason String,
    actor String,
    idempotency_key String
)
ENGINE = ReplacingMergeTree
ORDER BY (accepted_at, suppression_id, place)
SETTINGS finished_mutations_to_keep = 0 -- noqa: PRS
