-- Events of the users of a page, as look-ups read them.
WITH page AS (
    SELECT user_id FROM audience_pool
    WHERE
        snapshot_id = {snapshot_id:String}
        AND variant = {variant:String}
        AND item = {item:Int32}
        AND shortfall BETWEEN {after_short:UInt16} AND {last_short:UInt16}
        AND (shortfall, user_id) > ({after_short:UInt16}, {after_user:UInt64})
        AND (shortfall, user_id) <= ({last_short:UInt16}, {last_user:UInt64})
        AND score >= {least_score:UInt16}
)

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
    user_id IN (SELECT page.user_id FROM page)
    AND last_cut_off >= {cut_off:Int64}
    AND expires_at > now()
