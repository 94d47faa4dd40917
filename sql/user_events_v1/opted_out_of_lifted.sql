-- The same as opted_out, of those of whom something was lifted within the last minutes. A statement of its own, since
-- opted_out is also asked where there are no lifts yet, before their table is made.
WITH
lifted AS (
    SELECT user_id FROM suppression_lifts
    WHERE lifted_at > now64(6, 'UTC') - INTERVAL 3 MINUTE
),

undone AS (
    SELECT
        user_id,
        item_id
    FROM user_events
    WHERE user_id IN (SELECT lifted.user_id FROM lifted) AND event_type = {lift:String}
)

SELECT
    channel,
    reinterpretAsUInt32(substring(SHA256(concat({key:String}, toString(user_id))), 1, 4)) AS user_hash
FROM user_events
WHERE
    user_id IN (SELECT lifted.user_id FROM lifted)
    AND has({event_types:Array(String)}, event_type)
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
