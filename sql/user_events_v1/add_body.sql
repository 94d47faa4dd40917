-- What the look-up reads of an event, in one column: its time goes with columns (see user_rows).
ALTER TABLE user_events ADD COLUMN IF NOT EXISTS body String MATERIALIZED toJSONString((
    topic, event_type, event_id, item_id, channel, family, toUnixTimestamp64Micro(event_time)
))
