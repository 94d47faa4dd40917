-- Grain: one audience as it was asked for and came out. Both are JSON.
CREATE TABLE IF NOT EXISTS audiences (
    audience_id String,
    created_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'),
    actor String,
    snapshot_id String,
    request String,
    outcome String
)
ENGINE = MergeTree
ORDER BY audience_id
