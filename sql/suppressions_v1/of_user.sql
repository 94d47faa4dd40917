-- A user's suppressions, oldest first.
SELECT
    accepted_at,
    suppression_id,
    kind,
    channel,
    product_id,
    family,
    until,
    reason,
    actor
FROM suppressions FINAL
WHERE user_id = {user_id:UInt64}
ORDER BY accepted_at, suppression_id, place
