ALTER TABLE items DROP PARTITION {snapshot_id:String}
