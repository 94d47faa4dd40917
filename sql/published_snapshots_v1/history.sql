-- Every move of the pointer, oldest first; the last row is where it stands.
SELECT
    seq,
    moved_at,
    snapshot_id,
    action,
    actor,
    why
FROM published_snapshots
ORDER BY seq, moved_at, snapshot_id
