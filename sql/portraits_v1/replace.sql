-- Idempotent, unlike ATTACH: the same load twice leaves one copy.
ALTER TABLE portraits REPLACE PARTITION {snapshot_id:String} FROM portraits_staging
