ALTER TABLE user_state DROP PARTITION {snapshot_id:String}
