-- Of whom something was lifted within the last minutes, by 32 bits of a keyed hash.
SELECT DISTINCT reinterpretAsUInt32(substring(SHA256(concat({key:String}, toString(user_id))), 1, 4)) AS user_hash
FROM suppression_lifts
WHERE lifted_at > now64(6, 'UTC') - INTERVAL 3 MINUTE
