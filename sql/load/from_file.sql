-- The server reads the folder itself.
INSERT INTO {staging:Identifier}
SELECT
    {snapshot_id:String},
    * -- noqa: AM04
FROM file({path:String}, 'Parquet', {structure:String})
