OPTIMIZE TABLE audience_pool_staging PARTITION {snapshot_id:String} FINAL
