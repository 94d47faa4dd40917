-- Idempotent, unlike ATTACH: the same load twice leaves one copy.
ALTER TABLE items REPLACE PARTITION {snapshot_id:String} FROM items_staging
