-- Idempotent, unlike ATTACH: the same load twice leaves one copy.
ALTER TABLE fallback_lists REPLACE PARTITION {snapshot_id:String} FROM fallback_lists_staging
