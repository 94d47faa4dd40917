SELECT count() AS part_count FROM system.parts
WHERE
    database = currentDatabase()
    AND table = {table:String}
    AND `partition` = {snapshot_id:String}
    AND active
