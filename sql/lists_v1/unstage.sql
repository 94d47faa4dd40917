ALTER TABLE lists_staging DROP PARTITION {snapshot_id:String}
