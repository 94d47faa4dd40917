-- What was lifted under an idempotency key since a moment, in microseconds since 1970.
SELECT lift_id
FROM suppression_lifts
WHERE
    lifted_at >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')
    AND idempotency_key = {idempotency_key:String}
ORDER BY lifted_at
LIMIT 1
