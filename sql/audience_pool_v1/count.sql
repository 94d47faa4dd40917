SELECT count() AS row_count FROM audience_pool
WHERE snapshot_id = {snapshot_id:String}
