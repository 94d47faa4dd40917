ALTER TABLE lists DROP PARTITION {snapshot_id:String}
