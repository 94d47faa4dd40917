-- As user_events_v1/without_held_out, of the events here: topic, event_type and event_id come first in their bodies.
ALTER TABLE user_rows DELETE
WHERE
    snapshot_id = ''
    AND JSONExtractString(body, 1) = 'campaign.interactions'
    AND JSONExtractString(body, 2) = 'held_out'
    AND startsWith(JSONExtractString(body, 3), {day:String})
    AND NOT startsWith(JSONExtractString(body, 3), {kept:String})
SETTINGS mutations_sync = 2
