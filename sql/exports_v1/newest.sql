-- The exports that were asked for last; what was only confirmed or cancelled is an audience.
SELECT export_id FROM exports
GROUP BY export_id
HAVING countIf(step = 'asked') > 0
ORDER BY min(at) DESC, export_id ASC
LIMIT {most:UInt32}
