-- Grain: an item of one snapshot: products first, then offers. family is '' for offers.
CREATE TABLE IF NOT EXISTS items (
    snapshot_id String,
    item_code Int32,
    item_id String,
    kind LowCardinality(String),
    family LowCardinality(String),
    name_en String,
    name_ru String
)
ENGINE = MergeTree
PARTITION BY snapshot_id
ORDER BY item_code
