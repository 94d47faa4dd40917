-- The exports that were asked for last.
SELECT export_id FROM exports
GROUP BY export_id
ORDER BY min(at) DESC, export_id ASC
LIMIT {most:UInt32}
