-- A user's newest stored events, newest first. Rows that have not merged yet count once.
SELECT
    event_time,
    topic,
    event_type,
    item_id,
    channel,
    family
FROM user_events
WHERE user_id = {user_id:UInt64}
GROUP BY event_time, topic, event_type, event_id, item_id, channel, family
ORDER BY event_time DESC, topic ASC, event_id ASC, event_type ASC, item_id ASC
LIMIT {most:UInt32}
