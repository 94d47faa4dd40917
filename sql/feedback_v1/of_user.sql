SELECT
    event_id,
    event_time,
    event_type,
    channel,
    rec_id,
    item_id,
    position,
    is_expired,
    context
FROM feedback FINAL
WHERE user_id = {user_id:UInt64}
ORDER BY event_time, event_id
