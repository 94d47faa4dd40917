-- Grain: one step in the life of a loaded snapshot; the newest row of a snapshot_id tells where it stands.
-- state: loaded, verified, dropped. manifest is the snapshot's manifest.json.
CREATE TABLE IF NOT EXISTS snapshots (
    moved_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'),
    seq UInt64,
    snapshot_id String,
    state LowCardinality(String),
    manifest String
)
ENGINE = MergeTree
ORDER BY seq
