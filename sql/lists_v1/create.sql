-- Grain: a user's ranked items in one snapshot and variant, best first; items are item codes, scores quantised logits.
-- Look-ups read whole rows of one user in a million. Measured: small granules and blocks, and all columns in one file
-- (compact parts, whatever their size) halve the time of wide parts with default granules, and more for many users.
CREATE TABLE IF NOT EXISTS lists (
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
ENGINE = MergeTree
PARTITION BY snapshot_id
ORDER BY (user_id, variant)
SETTINGS index_granularity = 128, min_compress_block_size = 8192, max_compress_block_size = 8192,
min_rows_for_wide_part = 1099511627776, min_bytes_for_wide_part = 1099511627776
