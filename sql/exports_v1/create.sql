-- Grain: one step in the life of an export: asked, running (again and again while it is), written, confirming, sent,
-- cancelled or failed. request is what was asked for, told what is known at the step, both JSON.
CREATE TABLE IF NOT EXISTS exports (
    at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'),
    export_id String,
    step LowCardinality(String),
    actor String,
    request String,
    told String
)
ENGINE = MergeTree
ORDER BY (export_id, at)
TTL toDateTime(at) + INTERVAL 400 DAY
