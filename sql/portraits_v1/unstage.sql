ALTER TABLE portraits_staging DROP PARTITION {snapshot_id:String}
