-- The same as range, of named users.
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
WHERE user_id IN {user_ids:Array(UInt64)} AND last_cut_off >= {cut_off:Int64} AND expires_at > now()
