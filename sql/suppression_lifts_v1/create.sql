-- Grain: one suppression of one user as it was taken back, by whom, when and why. What it does is in user_events, which
-- is written after it; the suppression itself stays where it is. Kept for good, until its user is erased.
CREATE TABLE IF NOT EXISTS suppression_lifts (
    lifted_at DateTime64(6, 'UTC'),
    suppression_id String,
    place UInt32,
    user_id UInt64,
    lift_id String,
    reason String,
    actor String,
    idempotency_key String
)
ENGINE = ReplacingMergeTree
ORDER BY (suppression_id, place, lifted_at)
SETTINGS finished_mutations_to_keep = 0 -- noqa: PRS
