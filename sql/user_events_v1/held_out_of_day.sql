-- Hold-outs of a day's campaigns: how many events a set of them is, and what an assignment that was replaced left.
SELECT
    uniqExactIf(event_id, startsWith(event_id, {kept:String})) AS kept,
    countIf(NOT startsWith(event_id, {kept:String})) AS others
FROM user_events
WHERE
    topic = 'campaign.interactions'
    AND event_type = 'held_out'
    AND startsWith(event_id, {day:String})
