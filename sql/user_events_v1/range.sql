-- Everybody's events that may change an answer from a snapshot of this cut-off, of a shard, between two ids.
SELECT
    user_id,
    topic,
    event_type,
    event_id,
    item_id,
    channel,
    family,
    toUnixTimestamp64Micro(event_time) AS event_micros
FROM user_events
WHERE
    user_id BETWEEN {first:UInt64} AND {last:UInt64}
    AND intHash64(user_id) % {shards:UInt32} = {shard:UInt32}
    AND last_cut_off >= {cut_off:Int64}
    AND expires_at > now()
