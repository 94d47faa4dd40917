-- For tables that are written to all the time, whose partitions cannot be replaced meanwhile.
ALTER TABLE {table:Identifier} DELETE
WHERE user_id = {user_id:UInt64}
SETTINGS mutations_sync = 2
