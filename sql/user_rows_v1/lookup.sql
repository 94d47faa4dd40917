SELECT
    user_id,
    body
FROM user_rows
WHERE snapshot_id = {snapshot_id:String} AND user_id IN {user_ids:Array(UInt64)}
