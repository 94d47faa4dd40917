-- What a look-up needs of an event goes into user_rows as it is stored. An event that was stored twice is there twice:
-- the overlay counts an idempotency key once.
CREATE MATERIALIZED VIEW IF NOT EXISTS user_events_to_rows TO user_rows AS
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
