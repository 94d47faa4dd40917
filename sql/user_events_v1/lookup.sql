-- Many users' events that may change an answer from a snapshot of this cut-off, in microseconds since 1970.
SELECT
    user_id,
    body
FROM user_events
WHERE user_id IN {user_ids:Array(UInt64)} AND last_cut_off >= {cut_off:Int64} AND expires_at > now()
