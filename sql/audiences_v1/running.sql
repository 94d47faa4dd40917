-- The newest audiences of the last 30 days.
SELECT audience_id FROM audiences
WHERE created_at > now64(6, 'UTC') - INTERVAL 30 DAY
ORDER BY created_at DESC, audience_id ASC
LIMIT {most:UInt32}
