-- Grain: one step of an override of the publish gate: somebody asked for it, or somebody else approved it.
CREATE TABLE IF NOT EXISTS gate_overrides (
    at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'),
    snapshot_id String,
    lists_checksum String,
    step Enum8('asked' = 1, 'approved' = 2),
    actor String,
    reason String,
    failed_checks Array(String)
)
ENGINE = MergeTree
ORDER BY (snapshot_id, at)
