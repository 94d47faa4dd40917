-- Answers that an experiment's users got while it ran, from and until in microseconds since 1970; each once.
-- dealt: the arm that the hash gives, by its place from 1 (data_contracts/experiments/assign.py), 0 for none.
SELECT
    user_id,
    rec_id,
    event_time,
    kind,
    variant,
    item_ids,
    item_scores,
    propensities,
    arms[indexOf(experiments, {name:String})] AS arm,
    if(
        intHash64(bitXor(intHash64(user_id), {layer:UInt64})) BETWEEN {first:UInt64} AND {last:UInt64},
        arrayFirstIndex(
            bound -> intHash64(bitXor(intHash64(user_id), {salt:UInt64})) <= bound, {bounds:Array(UInt64)}
        ),
        0
    ) AS dealt
FROM exposures FINAL
WHERE
    has(experiments, {name:String})
    AND event_time >= fromUnixTimestamp64Micro({from:Int64}, 'UTC')
    AND event_time < fromUnixTimestamp64Micro({until:Int64}, 'UTC')
ORDER BY user_id, event_time, rec_id
