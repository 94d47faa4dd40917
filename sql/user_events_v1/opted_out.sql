-- Users and channels of whom the newest event of these types, but for lifted suppressions, is a withdrawal, or who were
-- erased, by 32 bits of a keyed hash. The whole column is read: for once a minute, not for a request.
WITH undone AS (
    SELECT
        user_id,
        item_id
    FROM user_events
    WHERE event_type = {lift:String}
)

SELECT
    channel,
    reinterpretAsUInt32(substring(SHA256(concat({key:String}, toString(user_id))), 1, 4)) AS user_hash
FROM user_events
WHERE
    has({event_types:Array(String)}, event_type)
    AND expires_at > now()
    AND (
        has({finals:Array(String)}, event_type)
        OR (user_id, event_id) NOT IN (
            SELECT
                undone.user_id,
                undone.item_id
            FROM undone
        )
    )
GROUP BY user_id, channel
HAVING
    max(has({finals:Array(String)}, event_type))
    OR has({withdrawals:Array(String)}, argMax(event_type, (event_time, event_type)))
