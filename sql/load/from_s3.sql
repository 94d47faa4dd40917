-- The server reads the bucket itself, with the credentials of its own configuration.
INSERT INTO {staging:Identifier}
SELECT
    {snapshot_id:String},
    * -- noqa: AM04
FROM s3({url:String}, 'Parquet', {structure:String})
