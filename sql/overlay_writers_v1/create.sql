-- Grain: the newest sign of life of a process that stores streamed events; earlier ones of it merge away.
-- lag_seconds: how long the oldest event of its last batch had waited in Kafka; 0 where nothing waits.
CREATE TABLE IF NOT EXISTS overlay_writers (
    writer String,
    beat_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
    lag_seconds Float32
)
ENGINE = ReplacingMergeTree(beat_at)
ORDER BY writer
TTL toDateTime(beat_at) + INTERVAL 7 DAY DELETE
