-- Grain: one answer as it was given; delivered twice it is there once, after a merge or with FINAL. Arrays have equal
-- length, best item first. How long it is kept, a later step says (keep_for_explanations).
CREATE TABLE IF NOT EXISTS exposures (
    event_id String,
    event_time DateTime64(6, 'UTC'),
    user_id UInt64,
    rec_id String,
    channel LowCardinality(String),
    kind LowCardinality(String),
    snapshot_id Nullable(String),
    arm LowCardinality(String),
    variant LowCardinality(String),
    tier LowCardinality(String),
    policy_hash String,
    top_k Int32,
    families Array(String),
    exclude Array(String),
    item_ids Array(String),
    item_tiers Array(LowCardinality(String)),
    item_scores Array(Nullable(Float64)),
    propensities Array(Float64)
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(event_time)
ORDER BY (rec_id, event_id)
TTL toDate(event_time) + INTERVAL 45 DAY
SETTINGS finished_mutations_to_keep = 0, ttl_only_drop_parts = 1 -- noqa: PRS
