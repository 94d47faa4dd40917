ALTER TABLE items_staging DROP PARTITION {snapshot_id:String}
