-- Idempotent, unlike ATTACH: the same load twice leaves one copy.
ALTER TABLE user_rows REPLACE PARTITION {snapshot_id:String} FROM user_rows_staging
