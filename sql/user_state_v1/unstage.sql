ALTER TABLE user_state_staging DROP PARTITION {snapshot_id:String}
