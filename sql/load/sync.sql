-- Waits until this replica has all that the others had.
SYSTEM SYNC REPLICA {table:Identifier}
