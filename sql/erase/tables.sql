-- Every table that tells people apart, known to the erasure or not.
SELECT DISTINCT table AS table_name FROM system.columns
WHERE database = currentDatabase() AND name = 'user_id'
ORDER BY table_name
