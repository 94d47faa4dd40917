-- A user's events as a look-up found them at a moment, from a snapshot of this cut-off; microseconds since 1970.
SELECT
    user_id,
    topic,
    event_type,
    event_id,
    item_id,
    channel,
    family,
    toUnixTimestamp64Micro(event_time) AS event_micros,
    toUnixTimestamp64Micro(stored_at) AS stored_micros
FROM user_events
WHERE
    user_id = {user_id:UInt64}
    AND last_cut_off >= {cut_off:Int64}
    AND stored_at <= fromUnixTimestamp64Micro({at:Int64}, 'UTC')
    AND expires_at > fromUnixTimestamp64Micro({at:Int64}, 'UTC')
