-- The request's body is one Parquet file, for a server that cannot see the folder.
INSERT INTO {staging:Identifier}
SELECT
    {snapshot_id:String},
    * -- noqa: AM04
FROM input({structure:String})
FORMAT Parquet -- noqa: CP01
