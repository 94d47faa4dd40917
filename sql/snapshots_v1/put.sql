INSERT INTO snapshots (seq, snapshot_id, state, manifest)
SELECT
    max(seq) + 1 AS next_seq,
    {snapshot_id:String},
    {state:String},
    {manifest:String}
FROM snapshots
