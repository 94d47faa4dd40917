-- The partitions of a table that hold rows, oldest first.
SELECT DISTINCT partition_id FROM system.parts
WHERE
    database = currentDatabase()
    AND table = {table:String}
    AND active
    AND `rows` > 0
ORDER BY partition_id
