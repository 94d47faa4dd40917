-- The rule set that was the newest at a moment, in microseconds since 1970.
SELECT
    seq,
    version,
    catalogue,
    rules,
    reasons,
    approved_at,
    actor
FROM rule_sets
WHERE approved_at <= fromUnixTimestamp64Micro({at:Int64}, 'UTC')
ORDER BY seq DESC, approved_at DESC, version DESC
LIMIT 1
