-- Grain: one step of a change that needs two people: somebody asked for it, or somebody else agreed and it was made.
CREATE TABLE IF NOT EXISTS approvals (
    at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'),
    action LowCardinality(String),
    subject String,
    step Enum8('asked' = 1, 'approved' = 2),
    actor String,
    reason String
)
ENGINE = MergeTree
ORDER BY (action, subject, at)
