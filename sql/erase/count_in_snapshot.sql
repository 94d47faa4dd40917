SELECT count() AS row_count FROM {table:Identifier}
WHERE snapshot_id = {snapshot_id:String} AND user_id = {user_id:UInt64}
