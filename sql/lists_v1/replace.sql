-- Idempotent, unlike ATTACH: the same load twice leaves one copy.
ALTER TABLE lists REPLACE PARTITION {snapshot_id:String} FROM lists_staging
