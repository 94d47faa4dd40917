-- The steps of an export, oldest first; of those that only say that it runs, the newest.
SELECT
    step,
    max(at) AS last_at,
    argMax(actor, at) AS last_actor,
    argMin(request, at) AS first_request,
    argMax(told, at) AS last_told,
    dateDiff('second', max(at), now64(6, 'UTC')) AS seconds_ago
FROM exports
WHERE export_id = {export_id:String}
GROUP BY step
ORDER BY last_at
