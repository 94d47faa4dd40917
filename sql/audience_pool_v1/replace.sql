ALTER TABLE audience_pool REPLACE PARTITION {snapshot_id:String} FROM audience_pool_staging
