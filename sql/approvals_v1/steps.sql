-- Steps of a kind of change within some days, oldest first.
SELECT
    subject,
    at,
    step,
    actor,
    reason
FROM approvals
WHERE action = {action:String} AND at > now64(6, 'UTC') - toIntervalHour({hours:UInt32})
ORDER BY at
