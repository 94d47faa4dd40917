SELECT
    created_at,
    actor,
    snapshot_id,
    request,
    outcome,
    members
FROM audiences
WHERE audience_id = {audience_id:String}
ORDER BY created_at
LIMIT 1
