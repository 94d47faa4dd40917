-- All that serving polls, in one row: the current snapshot ('' before the first), the serving rule set (0 before the
-- first) and the blocked items.
WITH pointer AS (
    SELECT argMax(snapshot_id, (seq, moved_at, snapshot_id)) AS snapshot_id FROM published_snapshots
),

rule_set AS (
    SELECT max(seq) AS rules_seq FROM rule_sets
),

newest_blocks AS (
    SELECT
        item_id,
        argMax(blocked, (seq, moved_at, blocked)) AS is_blocked
    FROM blocks
    GROUP BY item_id
),

stopped AS (
    SELECT arraySort(groupArray(item_id)) AS blocked_items FROM newest_blocks
    WHERE is_blocked
)

SELECT
    pointer.snapshot_id,
    rule_set.rules_seq,
    stopped.blocked_items
FROM pointer
CROSS JOIN rule_set
CROSS JOIN stopped
