-- The last rule set that somebody put.
SELECT
    seq,
    version,
    catalogue,
    rules,
    reasons,
    approved_at,
    actor
FROM rule_sets
WHERE actor = {actor:String}
ORDER BY seq DESC, approved_at DESC, version DESC
LIMIT 1
