INSERT INTO blocks (seq, item_id, blocked, actor, why)
SELECT
    max(seq) + 1 AS next_seq,
    {item_id:String},
    {blocked:Bool},
    {actor:String},
    {why:String}
FROM blocks
