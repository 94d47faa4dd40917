-- Of the events: a snapshot's partition is made anew without the person.
ALTER TABLE user_rows DELETE
WHERE snapshot_id = '' AND user_id = {user_id:UInt64} SETTINGS mutations_sync = 2
