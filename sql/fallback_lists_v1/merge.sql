OPTIMIZE TABLE fallback_lists_staging PARTITION {snapshot_id:String} FINAL
