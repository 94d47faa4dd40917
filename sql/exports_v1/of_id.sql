-- The steps of an export by what was asked at them, those that were taken first first; of several alike, the newest.
SELECT
    step,
    request,
    min(at) AS first_at,
    max(at) AS last_at,
    argMax(told, at) AS last_told,
    dateDiff('second', max(at), now64(6, 'UTC')) AS seconds_ago
FROM exports
WHERE export_id = {export_id:String}
GROUP BY step, request
ORDER BY first_at
