-- Grain: the ranked items of a tier (segment, popular) and segment in one snapshot; segment is 0 for popular.
CREATE TABLE IF NOT EXISTS fallback_lists (
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
ENGINE = MergeTree
PARTITION BY snapshot_id
ORDER BY (tier, segment)
