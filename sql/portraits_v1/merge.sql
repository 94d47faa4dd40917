OPTIMIZE TABLE portraits_staging PARTITION {snapshot_id:String} FINAL
