OPTIMIZE TABLE user_state_staging PARTITION {snapshot_id:String} FINAL
