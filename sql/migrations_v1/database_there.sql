SELECT count() AS databases FROM system.databases
WHERE name = {database:String}
