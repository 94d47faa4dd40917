-- The last of the next users from an id on, and how many they are.
WITH next_users AS (
    SELECT user_id FROM user_state
    WHERE snapshot_id = {snapshot_id:String} AND user_id >= {first:UInt64}
    ORDER BY user_id
    LIMIT {most:UInt32}
)

SELECT
    max(user_id) AS last_user,
    count() AS users
FROM next_users
