OPTIMIZE TABLE lists_staging PARTITION {snapshot_id:String} FINAL
