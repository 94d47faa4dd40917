ALTER TABLE fallback_lists_staging DROP PARTITION {snapshot_id:String}
