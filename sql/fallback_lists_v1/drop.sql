ALTER TABLE fallback_lists DROP PARTITION {snapshot_id:String}
