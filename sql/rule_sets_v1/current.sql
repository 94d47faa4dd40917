SELECT
    seq,
    version,
    catalogue,
    rules,
    reasons,
    approved_at,
    actor
FROM rule_sets
ORDER BY seq DESC, approved_at DESC, version DESC
LIMIT 1
