SELECT state FROM snapshots
WHERE snapshot_id = {snapshot_id:String}
ORDER BY seq DESC, moved_at DESC
LIMIT 1
