-- The next users from an id on, in order, of one shard, as the policy sees them.
SELECT
    user_id,
    segment,
    holdings,
    birth_year,
    region,
    income_band,
    employment,
    score_band,
    arrears_days,
    consents
FROM user_state
WHERE
    snapshot_id = {snapshot_id:String}
    AND user_id >= {first:UInt64}
    AND intHash64(user_id) % {shards:UInt32} = {shard:UInt32}
ORDER BY user_id
LIMIT {most:UInt32}
