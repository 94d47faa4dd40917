ALTER TABLE audience_pool_staging DROP PARTITION {snapshot_id:String}
