-- The newest audiences of the last 30 days that were not cancelled, and what their members are called.
SELECT
    audience_id,
    argMin(members, created_at) AS first_members
FROM audiences
WHERE
    created_at > now64(6, 'UTC') - INTERVAL 30 DAY
    AND audience_id NOT IN (
        SELECT exports.export_id FROM exports
        WHERE exports.step = 'cancelled'
    )
GROUP BY audience_id
ORDER BY min(created_at) DESC, audience_id ASC
LIMIT {most:UInt32}
