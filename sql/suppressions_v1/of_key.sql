-- What was accepted last under an idempotency key, when, in microseconds since 1970, and how many times something was;
-- no row where nothing was.
SELECT
    argMax(suppression_id, accepted_at) AS newest_id,
    toUnixTimestamp64Micro(max(accepted_at)) AS accepted_micros,
    uniqExact(suppression_id) AS accepted
FROM suppressions
WHERE idempotency_key = {idempotency_key:String}
HAVING accepted > 0
