-- Takes a day's hold-outs by campaigns out, but those that are kept. Its text names no user.
ALTER TABLE user_events DELETE
WHERE
    topic = 'campaign.interactions'
    AND event_type = 'held_out'
    AND startsWith(event_id, {day:String})
    AND NOT startsWith(event_id, {kept:String})
SETTINGS mutations_sync = 2
