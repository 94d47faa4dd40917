INSERT INTO published_snapshots (seq, snapshot_id, action, actor, why)
SELECT
    max(seq) + 1 AS next_seq,
    {snapshot_id:String},
    {action:String},
    {actor:String},
    {why:String}
FROM published_snapshots
