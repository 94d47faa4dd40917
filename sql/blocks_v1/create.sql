-- Grain: one compliance stop of an item, or its end; the newest row of an item wins.
CREATE TABLE IF NOT EXISTS blocks (
    moved_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'),
    seq UInt64,
    item_id String,
    blocked Bool,
    actor String,
    why String
)
ENGINE = MergeTree
ORDER BY (item_id, seq)
