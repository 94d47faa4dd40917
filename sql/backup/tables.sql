-- Every table but those that a load fills for a moment; views hold nothing.
SELECT name AS table_name FROM system.tables
WHERE database = currentDatabase() AND NOT endsWith(name, '_staging') AND engine != 'MaterializedView'
ORDER BY table_name
