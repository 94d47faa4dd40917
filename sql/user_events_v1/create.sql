-- Grain: one event of a user that some rule of the overlay needs, as it came; what it means is computed when read.
-- Equal rows, such as an event that was delivered twice, merge into one with its first storing; until then they are
-- both read, and the overlay counts an idempotency key (topic, event_id) once. No rule needs a row from expires_at on,
-- for what lasts for good the end of DateTime, in 2106; a later step says when it goes (keep_for_explanations).
-- last_cut_off: the latest cut-off, in microseconds since 1970, of a snapshot whose answers the event may still change.
-- Measured: the look-up's time goes with columns, conditions and dictionaries, so it has one condition and no
-- LowCardinality. Many small inserts and look-ups by user: granules, blocks and parts as in lists.
CREATE TABLE IF NOT EXISTS user_events (
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
ENGINE = AggregatingMergeTree
ORDER BY (user_id, event_time, topic, event_type, event_id, item_id, channel, family)
TTL expires_at DELETE
SETTINGS index_granularity = 128, min_compress_block_size = 8192, max_compress_block_size = 8192,
min_rows_for_wide_part = 1099511627776, min_bytes_for_wide_part = 1099511627776,
finished_mutations_to_keep = 1
