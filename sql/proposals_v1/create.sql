-- Grain: one step of a document that takes two people: somebody proposed it, somebody else approved it, or it was
-- refused. What is approved last of its kind and name holds. Kept for good.
CREATE TABLE IF NOT EXISTS proposals (
    at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'),
    kind LowCardinality(String),
    proposal_id String,
    name String,
    step Enum8('asked' = 1, 'approved' = 2, 'refused' = 3),
    actor String,
    reason String,
    document String
)
ENGINE = MergeTree
ORDER BY (kind, at)
