-- The steps about one content of a snapshot, oldest first.
SELECT
    at,
    step,
    actor,
    reason,
    failed_checks
FROM gate_overrides
WHERE snapshot_id = {snapshot_id:String} AND lists_checksum = {lists_checksum:String}
ORDER BY at, step, actor
