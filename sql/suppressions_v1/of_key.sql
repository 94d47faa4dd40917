-- What was accepted under an idempotency key since a moment, in microseconds since 1970.
SELECT suppression_id
FROM suppressions
WHERE
    accepted_at >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')
    AND idempotency_key = {idempotency_key:String}
ORDER BY accepted_at
LIMIT 1
