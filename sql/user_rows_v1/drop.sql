ALTER TABLE user_rows DROP PARTITION {snapshot_id:String}
