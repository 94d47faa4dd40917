-- Grain: one approved set of catalogue, rules and reasons, as JSON of data_contracts/catalogue.py.
-- The newest row is what serving uses, whatever the snapshot, so a rollback never brings back a withdrawn product.
CREATE TABLE IF NOT EXISTS rule_sets (
    approved_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'),
    seq UInt64,
    version String,
    catalogue String,
    rules String,
    reasons String,
    actor String
)
ENGINE = MergeTree
ORDER BY seq
