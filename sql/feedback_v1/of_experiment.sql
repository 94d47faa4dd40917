-- What an experiment's users did in a stretch of time, from and until in microseconds since 1970; each once.
WITH members AS (
    SELECT exposures.user_id
    FROM exposures
    WHERE has(exposures.experiments, {name:String})
)

SELECT
    feedback.user_id,
    feedback.rec_id,
    feedback.item_id,
    feedback.event_type,
    feedback.event_time
FROM feedback FINAL
WHERE
    feedback.event_time >= fromUnixTimestamp64Micro({from:Int64}, 'UTC')
    AND feedback.event_time < fromUnixTimestamp64Micro({until:Int64}, 'UTC')
    AND feedback.user_id IN (SELECT members.user_id FROM members)
ORDER BY feedback.user_id, feedback.event_time, feedback.event_id
