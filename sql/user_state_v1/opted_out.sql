-- Customers who may not be addressed in some channel of the mask, by 32 bits of a keyed hash, and their consents.
SELECT
    consents,
    reinterpretAsUInt32(substring(SHA256(concat({key:String}, toString(user_id))), 1, 4)) AS user_hash
FROM user_state
WHERE
    snapshot_id = {snapshot_id:String}
    AND consents > 0
    AND bitAnd(consents, {channels:UInt8}) != {channels:UInt8}
