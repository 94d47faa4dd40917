-- The same as opted_out, of those of whom something was lifted within the last minutes. A statement of its own, since
-- opted_out is also asked where there are no lifts yet, before their table is made.
WITH lifted AS (
    SELECT user_id FROM suppression_lifts
    WHERE lifted_at > now64(6, 'UTC') - INTERVAL 3 MINUTE
)

SELECT
    consents,
    reinterpretAsUInt32(substring(SHA256(concat({key:String}, toString(user_id))), 1, 4)) AS user_hash
FROM user_state
WHERE
    snapshot_id = {snapshot_id:String}
    AND user_id IN (SELECT lifted.user_id FROM lifted)
    AND consents > 0
    AND bitAnd(consents, {channels:UInt8}) != {channels:UInt8}
