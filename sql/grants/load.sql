-- The night, and who restores or erases: makes and changes tables, loads, verifies, publishes, drops what is old.
CREATE ROLE IF NOT EXISTS recs_load;

GRANT
    SELECT, INSERT, ALTER, CREATE TABLE, CREATE VIEW, OPTIMIZE, TRUNCATE ON *,
    SYSTEM SYNC REPLICA ON *,
    SELECT ON system.parts,
    SELECT ON system.columns,
    SELECT ON system.tables,
    S3 ON *.*,
    KILL QUERY ON *.*
TO recs_load
WITH REPLACE OPTION;

CREATE SETTINGS PROFILE OR REPLACE recs_load
SETTINGS max_memory_usage = 40000000000, max_execution_time = 14400
TO recs_load;

CREATE QUOTA OR REPLACE recs_load
KEYED BY user_name
FOR INTERVAL 1 hour MAX queries = 200000, errors = 5000
TO recs_load;

CREATE USER IF NOT EXISTS recs_load IDENTIFIED WITH sha256_password BY {password:String} DEFAULT ROLE recs_load;

ALTER USER recs_load IDENTIFIED WITH sha256_password BY {password:String};

GRANT recs_load TO recs_load;
