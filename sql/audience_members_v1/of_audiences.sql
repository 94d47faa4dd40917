SELECT
    audience_id,
    user_id
FROM audience_members
WHERE has({audience_ids:Array(String)}, audience_id)
