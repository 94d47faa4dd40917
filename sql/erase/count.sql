SELECT count() AS row_count FROM {table:Identifier}
WHERE user_id = {user_id:UInt64}
