-- Grain: one profile feature of a product's holders in one snapshot, beside everyone; null where nothing is known.
CREATE TABLE IF NOT EXISTS portraits (
    snapshot_id String,
    product_id String,
    feature String,
    holders Int64,
    holders_mean Nullable(Float32),
    everyone_mean Nullable(Float32)
)
ENGINE = MergeTree
PARTITION BY snapshot_id
ORDER BY (product_id, feature)
