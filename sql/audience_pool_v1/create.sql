-- Grain: one product in a user's list of a snapshot and variant, ordered by product: the best users of a product are
-- read in a row. Made of `lists` when a snapshot is loaded; of each product the best 5 % of all users and at least
-- 100,000. `shortfall`: 65535 less the stored score, so that the best come first.
CREATE TABLE IF NOT EXISTS audience_pool (
    snapshot_id String,
    variant LowCardinality(String),
    item Int32,
    shortfall UInt16,
    user_id UInt64
)
ENGINE = MergeTree
PARTITION BY snapshot_id
ORDER BY (variant, item, shortfall, user_id)
