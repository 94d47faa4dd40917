-- Users and channels of whom the newest event of these types is a withdrawal, by 32 bits of a keyed hash. The whole
-- column is read: for once a minute, not for a request.
SELECT
    channel,
    reinterpretAsUInt32(substring(SHA256(concat({key:String}, toString(user_id))), 1, 4)) AS user_hash
FROM user_events
WHERE has({event_types:Array(String)}, event_type) AND expires_at > now()
GROUP BY user_id, channel
HAVING has({withdrawals:Array(String)}, argMax(event_type, (event_time, event_type)))
