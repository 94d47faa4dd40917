-- How many rows of lists and of user_state those of a snapshot were made of.
SELECT
    sum(variants) AS lists,
    sum(states) AS user_state
FROM user_rows
WHERE snapshot_id = {snapshot_id:String}
