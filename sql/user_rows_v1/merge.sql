OPTIMIZE TABLE user_rows_staging PARTITION {snapshot_id:String} FINAL
