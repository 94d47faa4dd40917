-- All that a look-up needs of some users: their row of a snapshot and, as rows of no snapshot, the streamed events of
-- theirs that are kept.
SELECT
    snapshot_id,
    user_id,
    body
FROM user_rows
WHERE snapshot_id IN ('', {snapshot_id:String}) AND user_id IN {user_ids:Array(UInt64)}
