OPTIMIZE TABLE items_staging PARTITION {snapshot_id:String} FINAL
