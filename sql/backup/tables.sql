-- Every table but those that a load fills for a moment.
SELECT name AS table_name FROM system.tables
WHERE database = currentDatabase() AND NOT endsWith(name, '_staging')
ORDER BY table_name
