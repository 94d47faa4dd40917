-- What a snapshot's Parquet must hold for a table: every column but the snapshot's id, as file() and input() want it.
WITH table_columns AS (
    SELECT arraySort(groupArray((position, concat(name, ' ', type)))) AS by_position FROM system.columns
    WHERE database = currentDatabase() AND table = {table:String} AND name != 'snapshot_id'
)

SELECT arrayStringConcat(arrayMap(entry -> entry.2, by_position), ', ') AS structure FROM table_columns
