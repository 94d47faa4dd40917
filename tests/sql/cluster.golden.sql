-- migrations_v1/create_database
CREATE DATABASE IF NOT EXISTS {database:Identifier} ON CLUSTER '{cluster}';

-- migrations_v1/create
CREATE TABLE IF NOT EXISTS migrations ON CLUSTER '{cluster}' (
    applied_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'),
    step UInt32,
    file String,
    digest String
)
ENGINE = ReplicatedMergeTree
ORDER BY step;

-- load/stop
KILL QUERY ON CLUSTER '{cluster}'
WHERE Settings['log_comment'] = {load:String} AND current_database = currentDatabase() SYNC;

-- load/sync
SYSTEM SYNC REPLICA {table:Identifier};

-- lists_v1/create
CREATE TABLE IF NOT EXISTS lists ON CLUSTER '{cluster}' (
    snapshot_id String,
    user_id UInt64 CODEC (T64, LZ4),
    variant String,
    product_items Array(Int32) CODEC (T64, LZ4),
    product_scores Array(UInt16) CODEC (Delta, LZ4),
    product_reasons Array(UInt16) CODEC (T64, LZ4),
    offer_items Array(Int32) CODEC (T64, LZ4),
    offer_scores Array(UInt16) CODEC (Delta, LZ4),
    offer_reasons Array(UInt16) CODEC (T64, LZ4)
)
ENGINE = ReplicatedMergeTree
PARTITION BY snapshot_id
ORDER BY (user_id, variant)
SETTINGS index_granularity = 128, min_compress_block_size = 8192, max_compress_block_size = 8192,
min_rows_for_wide_part = 1099511627776, min_bytes_for_wide_part = 1099511627776;

-- fallback_lists_v1/create
CREATE TABLE IF NOT EXISTS fallback_lists ON CLUSTER '{cluster}' (
    snapshot_id String,
    tier LowCardinality(String),
    segment Int16,
    product_items Array(Int32) CODEC (T64, LZ4),
    product_scores Array(UInt16) CODEC (Delta, LZ4),
    product_reasons Array(UInt16) CODEC (T64, LZ4),
    offer_items Array(Int32) CODEC (T64, LZ4),
    offer_scores Array(UInt16) CODEC (Delta, LZ4),
    offer_reasons Array(UInt16) CODEC (T64, LZ4)
)
ENGINE = ReplicatedMergeTree
PARTITION BY snapshot_id
ORDER BY (tier, segment);

-- user_state_v1/create
CREATE TABLE IF NOT EXISTS user_state ON CLUSTER '{cluster}' (
    snapshot_id String,
    user_id UInt64 CODEC (T64, LZ4),
    segment Int16 CODEC (T64, LZ4),
    holdings Array(Int32) CODEC (T64, LZ4),
    birth_year Int16 CODEC (T64, LZ4),
    region Int16 CODEC (T64, LZ4),
    income_band Int8,
    employment LowCardinality(String),
    score_band Int8,
    arrears_days Int16 CODEC (T64, LZ4),
    consents UInt8
)
ENGINE = ReplicatedMergeTree
PARTITION BY snapshot_id
ORDER BY user_id
SETTINGS index_granularity = 128, min_compress_block_size = 8192, max_compress_block_size = 8192,
min_rows_for_wide_part = 1099511627776, min_bytes_for_wide_part = 1099511627776;

-- items_v1/create
CREATE TABLE IF NOT EXISTS items ON CLUSTER '{cluster}' (
    snapshot_id String,
    item_code Int32,
    item_id String,
    kind LowCardinality(String),
    family LowCardinality(String),
    name_en String,
    name_ru String
)
ENGINE = ReplicatedMergeTree
PARTITION BY snapshot_id
ORDER BY item_code;

-- portraits_v1/create
CREATE TABLE IF NOT EXISTS portraits ON CLUSTER '{cluster}' (
    snapshot_id String,
    product_id String,
    feature String,
    holders Int64,
    holders_mean Nullable(Float32),
    everyone_mean Nullable(Float32)
)
ENGINE = ReplicatedMergeTree
PARTITION BY snapshot_id
ORDER BY (product_id, feature);

-- snapshots_v1/create
CREATE TABLE IF NOT EXISTS snapshots ON CLUSTER '{cluster}' (
    moved_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'),
    seq UInt64,
    snapshot_id String,
    state LowCardinality(String),
    manifest String
)
ENGINE = ReplicatedMergeTree
ORDER BY seq;

-- published_snapshots_v1/create
CREATE TABLE IF NOT EXISTS published_snapshots ON CLUSTER '{cluster}' (
    moved_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'),
    seq UInt64,
    snapshot_id String,
    action Enum8('publish' = 1, 'rollback' = 2),
    actor String,
    why String
)
ENGINE = ReplicatedMergeTree
ORDER BY seq;

-- rule_sets_v1/create
CREATE TABLE IF NOT EXISTS rule_sets ON CLUSTER '{cluster}' (
    approved_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'),
    seq UInt64,
    version String,
    catalogue String,
    rules String,
    reasons String,
    actor String
)
ENGINE = ReplicatedMergeTree
ORDER BY seq;

-- blocks_v1/create
CREATE TABLE IF NOT EXISTS blocks ON CLUSTER '{cluster}' (
    moved_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'),
    seq UInt64,
    item_id String,
    blocked Bool,
    actor String,
    why String
)
ENGINE = ReplicatedMergeTree
ORDER BY (item_id, seq);

-- user_events_v1/create
CREATE TABLE IF NOT EXISTS user_events ON CLUSTER '{cluster}' (
    user_id UInt64 CODEC (T64, LZ4),
    event_time DateTime64(6, 'UTC') CODEC (Delta, LZ4),
    topic String,
    event_type String,
    event_id String,
    item_id String,
    channel String,
    family String,
    last_cut_off SimpleAggregateFunction(max, Int64),
    expires_at SimpleAggregateFunction(max, DateTime('UTC')),
    stored_at SimpleAggregateFunction(min, DateTime64(6, 'UTC')) DEFAULT now64(6, 'UTC')
)
ENGINE = ReplicatedAggregatingMergeTree
ORDER BY (user_id, event_time, topic, event_type, event_id, item_id, channel, family)
TTL expires_at DELETE
SETTINGS index_granularity = 128, min_compress_block_size = 8192, max_compress_block_size = 8192,
min_rows_for_wide_part = 1099511627776, min_bytes_for_wide_part = 1099511627776,
finished_mutations_to_keep = 1;

-- feedback_v1/create
CREATE TABLE IF NOT EXISTS feedback ON CLUSTER '{cluster}' (
    event_id String,
    event_time DateTime64(6, 'UTC'),
    user_id UInt64,
    event_type LowCardinality(String),
    channel LowCardinality(String),
    rec_id Nullable(String),
    item_id Nullable(String),
    position Nullable(Int32),
    is_expired Bool,
    context Nullable(String),
    received_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ReplicatedReplacingMergeTree
ORDER BY (user_id, event_id)
TTL toDateTime(received_at) + INTERVAL 400 DAY
SETTINGS finished_mutations_to_keep = 0;

-- exposures_v1/create
CREATE TABLE IF NOT EXISTS exposures ON CLUSTER '{cluster}' (
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
ENGINE = ReplicatedReplacingMergeTree
PARTITION BY toDate(event_time)
ORDER BY (rec_id, event_id)
TTL toDate(event_time) + INTERVAL 45 DAY
SETTINGS finished_mutations_to_keep = 0, ttl_only_drop_parts = 1;

-- gate_overrides_v1/create
CREATE TABLE IF NOT EXISTS gate_overrides ON CLUSTER '{cluster}' (
    at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'),
    snapshot_id String,
    lists_checksum String,
    step Enum8('asked' = 1, 'approved' = 2),
    actor String,
    reason String,
    failed_checks Array(String)
)
ENGINE = ReplicatedMergeTree
ORDER BY (snapshot_id, at);

-- exposures_v1/add_context
ALTER TABLE exposures
ADD COLUMN IF NOT EXISTS experiment Nullable(String),
ADD COLUMN IF NOT EXISTS screen Nullable(String),
ADD COLUMN IF NOT EXISTS placement Nullable(String),
ADD COLUMN IF NOT EXISTS search_family Nullable(String),
ADD COLUMN IF NOT EXISTS cart Array(String),
ADD COLUMN IF NOT EXISTS basket_product Nullable(String);

-- overlay_writers_v1/create
CREATE TABLE IF NOT EXISTS overlay_writers ON CLUSTER '{cluster}' (
    writer String,
    beat_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
    lag_seconds Float32
)
ENGINE = ReplicatedReplacingMergeTree(beat_at)
ORDER BY writer
TTL toDateTime(beat_at) + INTERVAL 7 DAY DELETE;

-- exposures_v1/add_assignments
ALTER TABLE exposures
ADD COLUMN IF NOT EXISTS experiments Array(LowCardinality(String)),
ADD COLUMN IF NOT EXISTS arms Array(LowCardinality(String));

-- suppressions_v1/create
CREATE TABLE IF NOT EXISTS suppressions ON CLUSTER '{cluster}' (
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
ENGINE = ReplicatedReplacingMergeTree
ORDER BY (accepted_at, suppression_id, place)
SETTINGS finished_mutations_to_keep = 0;

-- audience_pool_v1/create
CREATE TABLE IF NOT EXISTS audience_pool ON CLUSTER '{cluster}' (
    snapshot_id String,
    variant LowCardinality(String),
    item Int32,
    shortfall UInt16,
    user_id UInt64
)
ENGINE = ReplicatedMergeTree
PARTITION BY snapshot_id
ORDER BY (variant, item, shortfall, user_id);

-- audiences_v1/create
CREATE TABLE IF NOT EXISTS audiences ON CLUSTER '{cluster}' (
    audience_id String,
    created_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'),
    actor String,
    snapshot_id String,
    request String,
    outcome String
)
ENGINE = ReplicatedMergeTree
ORDER BY audience_id;

-- audience_members_v1/create
CREATE TABLE IF NOT EXISTS audience_members ON CLUSTER '{cluster}' (
    audience_id String,
    place UInt32,
    user_id UInt64,
    score UInt16,
    is_control Bool,
    created_at DateTime('UTC') DEFAULT now('UTC')
)
ENGINE = ReplicatedMergeTree
ORDER BY (audience_id, place)
TTL created_at + INTERVAL 90 DAY
SETTINGS finished_mutations_to_keep = 0;

-- exports_v1/create
CREATE TABLE IF NOT EXISTS exports ON CLUSTER '{cluster}' (
    at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'),
    export_id String,
    step LowCardinality(String),
    actor String,
    request String,
    told String
)
ENGINE = ReplicatedMergeTree
ORDER BY (export_id, at)
TTL toDateTime(at) + INTERVAL 400 DAY;

-- user_rows_v1/create
CREATE TABLE IF NOT EXISTS user_rows ON CLUSTER '{cluster}' (
    snapshot_id String,
    user_id UInt64 CODEC (T64, LZ4),
    variants UInt8,
    states UInt8,
    body String CODEC (ZSTD(1))
)
ENGINE = ReplicatedMergeTree
PARTITION BY snapshot_id
ORDER BY user_id
SETTINGS index_granularity = 32, min_compress_block_size = 8192, max_compress_block_size = 8192,
min_rows_for_wide_part = 1099511627776, min_bytes_for_wide_part = 1099511627776;

-- user_events_v1/add_body
ALTER TABLE user_events ADD COLUMN IF NOT EXISTS body String MATERIALIZED toJSONString((
    topic, event_type, event_id, item_id, channel, family, toUnixTimestamp64Micro(event_time)
));

-- approvals_v1/create
CREATE TABLE IF NOT EXISTS approvals ON CLUSTER '{cluster}' (
    at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'),
    action LowCardinality(String),
    subject String,
    step Enum8('asked' = 1, 'approved' = 2),
    actor String,
    reason String
)
ENGINE = ReplicatedMergeTree
ORDER BY (action, subject, at);

-- suppression_lifts_v1/create
CREATE TABLE IF NOT EXISTS suppression_lifts ON CLUSTER '{cluster}' (
    lifted_at DateTime64(6, 'UTC'),
    suppression_id String,
    place UInt32,
    user_id UInt64,
    lift_id String,
    reason String,
    actor String,
    idempotency_key String
)
ENGINE = ReplicatedReplacingMergeTree
ORDER BY (suppression_id, place, lifted_at)
SETTINGS finished_mutations_to_keep = 0;

-- suppressions_v1/add_indexes
ALTER TABLE suppressions 
    ADD INDEX IF NOT EXISTS by_id suppression_id TYPE bloom_filter GRANULARITY 1,
    ADD INDEX IF NOT EXISTS by_key idempotency_key TYPE bloom_filter GRANULARITY 1,
    ADD INDEX IF NOT EXISTS by_user user_id TYPE bloom_filter GRANULARITY 1;

-- proposals_v1/create
CREATE TABLE IF NOT EXISTS proposals ON CLUSTER '{cluster}' (
    at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'),
    kind LowCardinality(String),
    proposal_id String,
    name String,
    step Enum8('asked' = 1, 'approved' = 2, 'refused' = 3),
    actor String,
    reason String,
    document String
)
ENGINE = ReplicatedMergeTree
ORDER BY (kind, at);

-- audience_pool_v1/add_score
ALTER TABLE audience_pool ADD COLUMN IF NOT EXISTS score UInt16 DEFAULT 65535 - shortfall;

-- audience_pool_v1/stage
CREATE TABLE IF NOT EXISTS audience_pool_staging ON CLUSTER '{cluster}' AS audience_pool;

-- audience_pool_v1/add_score_staged
ALTER TABLE audience_pool_staging ADD COLUMN IF NOT EXISTS score UInt16 DEFAULT 65535 - shortfall;

-- user_rows_v1/add_expiry
ALTER TABLE user_rows
ADD COLUMN IF NOT EXISTS expires_at DateTime('UTC') DEFAULT toDateTime(4294967295, 'UTC'),
MODIFY TTL expires_at
SETTINGS materialize_ttl_after_modify = 0;

-- user_rows_v1/stage
CREATE TABLE IF NOT EXISTS user_rows_staging ON CLUSTER '{cluster}' AS user_rows;

-- user_rows_v1/add_expiry_staged
ALTER TABLE user_rows_staging
ADD COLUMN IF NOT EXISTS expires_at DateTime('UTC') DEFAULT toDateTime(4294967295, 'UTC'),
MODIFY TTL expires_at
SETTINGS materialize_ttl_after_modify = 0;

-- user_events_v1/mirror
CREATE MATERIALIZED VIEW IF NOT EXISTS user_events_to_rows ON CLUSTER '{cluster}' TO user_rows AS
SELECT
    user_id,
    expires_at,
    '' AS snapshot_id,
    0 AS variants,
    0 AS states,
    toJSONString((
        topic, event_type, event_id, item_id, channel, family, toUnixTimestamp64Micro(event_time),
        last_cut_off, toUnixTimestamp(expires_at)
    )) AS body
FROM user_events;

-- user_events_v1/mirror_all
INSERT INTO user_rows (user_id, expires_at, snapshot_id, variants, states, body)
SELECT
    user_id,
    expires_at,
    '' AS snapshot_id,
    0 AS variants,
    0 AS states,
    toJSONString((
        topic, event_type, event_id, item_id, channel, family, toUnixTimestamp64Micro(event_time),
        last_cut_off, toUnixTimestamp(expires_at)
    )) AS body
FROM user_events;

-- user_events_v1/keep_for_explanations
ALTER TABLE user_events MODIFY TTL toDateTime(
    least(toUnixTimestamp(expires_at) + toUInt64(46 * 86400), toUInt64(4294967295)), 'UTC'
);

-- exposures_v1/add_variants
ALTER TABLE exposures
ADD COLUMN IF NOT EXISTS product_variant LowCardinality(Nullable(String)),
ADD COLUMN IF NOT EXISTS offer_variant LowCardinality(Nullable(String));

-- exposures_v1/keep_for_explanations
ALTER TABLE exposures MODIFY TTL toDate(event_time) + INTERVAL 121 DAY;

-- audiences_v1/add_members
ALTER TABLE audiences
ADD COLUMN IF NOT EXISTS members String DEFAULT audience_id;

-- audience_pool_v1/stage
CREATE TABLE IF NOT EXISTS audience_pool_staging ON CLUSTER '{cluster}' AS audience_pool;

-- fallback_lists_v1/stage
CREATE TABLE IF NOT EXISTS fallback_lists_staging ON CLUSTER '{cluster}' AS fallback_lists;

-- items_v1/stage
CREATE TABLE IF NOT EXISTS items_staging ON CLUSTER '{cluster}' AS items;

-- lists_v1/stage
CREATE TABLE IF NOT EXISTS lists_staging ON CLUSTER '{cluster}' AS lists;

-- portraits_v1/stage
CREATE TABLE IF NOT EXISTS portraits_staging ON CLUSTER '{cluster}' AS portraits;

-- user_rows_v1/stage
CREATE TABLE IF NOT EXISTS user_rows_staging ON CLUSTER '{cluster}' AS user_rows;

-- user_state_v1/stage
CREATE TABLE IF NOT EXISTS user_state_staging ON CLUSTER '{cluster}' AS user_state;
