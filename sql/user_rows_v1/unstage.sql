ALTER TABLE user_rows_staging DROP PARTITION {snapshot_id:String}
