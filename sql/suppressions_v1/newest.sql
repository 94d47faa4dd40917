-- Who was suppressed within the last minutes, by 32 bits of a keyed hash; by time of acceptance, so little is read.
WITH lifted AS (
    SELECT
        suppression_id,
        place
    FROM suppression_lifts
    WHERE lifted_at > now64(6, 'UTC') - INTERVAL 10 MINUTE
)

SELECT
    channel,
    reinterpretAsUInt32(substring(SHA256(concat({key:String}, toString(user_id))), 1, 4)) AS user_hash
FROM suppressions
WHERE
    accepted_at > now64(6, 'UTC') - INTERVAL 3 MINUTE
    AND (suppression_id, place) NOT IN (
        SELECT
            lifted.suppression_id,
            lifted.place
        FROM lifted
    )
