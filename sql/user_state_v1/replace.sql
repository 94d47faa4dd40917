-- Idempotent, unlike ATTACH: the same load twice leaves one copy.
ALTER TABLE user_state REPLACE PARTITION {snapshot_id:String} FROM user_state_staging
