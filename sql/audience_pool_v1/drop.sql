ALTER TABLE audience_pool DROP PARTITION {snapshot_id:String}
