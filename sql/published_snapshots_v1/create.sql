-- Grain: one move of the pointer. The newest row (highest seq, then moved_at) is the current snapshot.
CREATE TABLE IF NOT EXISTS published_snapshots (
    moved_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'),
    seq UInt64,
    snapshot_id String,
    action Enum8('publish' = 1, 'rollback' = 2),
    actor String,
    why String
)
ENGINE = MergeTree
ORDER BY seq
