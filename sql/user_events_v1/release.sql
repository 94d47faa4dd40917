-- What an export or audience reserved or holds out counts no longer, but where it was sent, which settles that. It is
-- found by the names of events, two whole columns: for what is cancelled or confirmed, not for a request.
INSERT INTO user_events (
    user_id, event_time, topic, event_type, event_id, item_id, channel, family, last_cut_off, expires_at
)
WITH own AS (
    SELECT
        user_id,
        event_type
    FROM user_events
    WHERE
        has(['reserved', 'held_out', 'sent'], event_type)
        AND startsWith(event_id, concat({name:String}, '/'))
),

sent AS (
    SELECT own.user_id FROM own
    WHERE own.event_type = 'sent'
)

SELECT DISTINCT
    own.user_id,
    fromUnixTimestamp64Micro({at:Int64}, 'UTC') AS of_time,
    {topic:String} AS of_topic, -- noqa: RF02
    {event_type:String} AS of_type, -- noqa: RF02
    concat({name:String}, '/', toString(own.user_id), '/', {event_type:String}) AS of_event, -- noqa: RF02
    '' AS of_item,
    {channel:String} AS of_channel, -- noqa: RF02
    '' AS of_family,
    {last_cut_off:Int64} AS of_cut_off, -- noqa: RF02
    toDateTime({expires_at:UInt32}, 'UTC') AS of_expiry -- noqa: RF02
FROM own
WHERE
    own.event_type != 'sent'
    AND own.user_id NOT IN (SELECT sent.user_id FROM sent)
