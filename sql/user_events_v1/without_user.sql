-- Rewrites the parts that hold the person; other people's events may be stored meanwhile.
ALTER TABLE user_events DELETE
WHERE user_id = {user_id:UInt64} SETTINGS mutations_sync = 2
