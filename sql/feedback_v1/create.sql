-- Grain: one thing a user did about recommendations; delivered twice it is there once, after a merge or with FINAL.
-- Fields as in data_contracts/events/recommendation.feedback. No text of a finished deletion is kept: it names one.
CREATE TABLE IF NOT EXISTS feedback (
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
ENGINE = ReplacingMergeTree
ORDER BY (user_id, event_id)
TTL toDateTime(received_at) + INTERVAL 400 DAY
SETTINGS finished_mutations_to_keep = 0 -- noqa: PRS
