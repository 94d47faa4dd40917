-- The events that were stored before the view was made. Again it makes copies, which cost room and change no answer.
INSERT INTO user_rows (user_id, expires_at, snapshot_id, variants, states, body)
SELECT
    user_id,
    expires_at,
    '' AS snapshot_id,
    0 AS variants,
    0 AS states,
    toJSONString((
        topic, event_type, event_id, item_id, channel, family, toUnixTimestamp64Micro(event_time),
        last_cut_off, toUnixTimestamp(expires_at)
    )) AS body
FROM user_events
