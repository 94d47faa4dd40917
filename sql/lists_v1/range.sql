-- One kind's lists of a variant, of the users of a shard between two ids, in order of the ids.
SELECT
    user_id,
    {items_column:Identifier} AS items,
    {scores_column:Identifier} AS scores,
    {reasons_column:Identifier} AS reasons
FROM lists
WHERE
    snapshot_id = {snapshot_id:String}
    AND user_id BETWEEN {first:UInt64} AND {last:UInt64}
    AND variant = {variant:String}
    AND intHash64(user_id) % {shards:UInt32} = {shard:UInt32}
ORDER BY user_id
