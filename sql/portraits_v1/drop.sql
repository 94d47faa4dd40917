ALTER TABLE portraits DROP PARTITION {snapshot_id:String}
