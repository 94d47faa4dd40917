-- Where each snapshot stands: its newest row.
SELECT
    snapshot_id,
    argMax(state, (seq, moved_at)) AS state,
    argMax(manifest, (seq, moved_at)) AS manifest,
    max(moved_at) AS last_moved_at
FROM snapshots
GROUP BY snapshot_id
ORDER BY snapshot_id
