-- As user_events_v1/forget.
ALTER TABLE user_rows DELETE
WHERE snapshot_id = '' AND user_id < 0 SETTINGS mutations_sync = 2
