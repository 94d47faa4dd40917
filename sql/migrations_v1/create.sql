-- Grain: one applied step of sql/migrations.yaml; digest is the SHA-256 of the file as it was applied.
CREATE TABLE IF NOT EXISTS migrations (
    applied_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'),
    step UInt32,
    file String,
    digest String
)
ENGINE = MergeTree
ORDER BY step
