-- Grain: a user's ranked items in one snapshot and variant, best first; items are item codes, scores quantised logits.
-- Granules and blocks are small because look-ups read one user in a million: measured, see the README.
CREATE TABLE IF NOT EXISTS lists (
    snapshot_id LowCardinality(String),
    user_id UInt64 CODEC (T64, LZ4),
    variant LowCardinality(String),
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
SETTINGS index_granularity = 128, min_compress_block_size = 8192, max_compress_block_size = 8192
