-- Every table that tells people apart, known to the erasure or not; a view's rows lie in another table.
WITH views AS (
    SELECT name FROM system.tables
    WHERE database = currentDatabase() AND engine = 'MaterializedView'
)

SELECT DISTINCT table AS table_name FROM system.columns
WHERE
    database = currentDatabase()
    AND name = 'user_id'
    AND table NOT IN (SELECT views.name FROM views)
ORDER BY table_name
