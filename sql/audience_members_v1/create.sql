-- Grain: one user of an audience, best first; members of its control group are contacted by nobody. Kept 90 days.
CREATE TABLE IF NOT EXISTS audience_members (
    audience_id String,
    place UInt32,
    user_id UInt64,
    score UInt16,
    is_control Bool,
    created_at DateTime('UTC') DEFAULT now('UTC')
)
ENGINE = MergeTree
ORDER BY (audience_id, place)
TTL created_at + INTERVAL 90 DAY
SETTINGS finished_mutations_to_keep = 0 -- noqa: PRS
