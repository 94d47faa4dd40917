-- Whatever columns it has.
SELECT * FROM {table:Identifier} -- noqa: AM04
WHERE _partition_id = {part:String}
