-- The next members to contact, after a place.
SELECT
    place,
    user_id,
    score
FROM audience_members
WHERE audience_id = {audience_id:String} AND place > {after:UInt32} AND NOT is_control
ORDER BY place
LIMIT {most:UInt32}
