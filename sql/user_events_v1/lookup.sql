-- Many users' events that a rule may still need: after the cut-off all of them, before it those that are not fleeting,
-- and before `since` only what lasts for good. Times are microseconds since 1970.
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
    user_id IN {user_ids:Array(UInt64)}
    AND (
        event_time >= fromUnixTimestamp64Micro({cut_off:Int64}, 'UTC')
        OR (
            event_type NOT IN {fleeting:Array(String)}
            AND (
                event_time >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')
                OR expires_at = toDateTime(4294967295, 'UTC')
            )
        )
    )
