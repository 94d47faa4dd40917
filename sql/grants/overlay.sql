-- What brings streamed events in: it writes two tables and reads of them what it counts.
CREATE ROLE IF NOT EXISTS recs_overlay;

GRANT
    SELECT, INSERT ON user_events,
    SELECT, INSERT ON overlay_writers,
    SELECT ON migrations,
    SELECT ON exposures
TO recs_overlay
WITH REPLACE OPTION;

CREATE SETTINGS PROFILE OR REPLACE recs_overlay
SETTINGS max_memory_usage = 4000000000, max_execution_time = 60
TO recs_overlay;

CREATE QUOTA OR REPLACE recs_overlay
KEYED BY user_name
FOR INTERVAL 1 minute MAX queries = 6000, errors = 600
TO recs_overlay;

CREATE USER IF NOT EXISTS recs_overlay IDENTIFIED WITH sha256_password BY {password:String} DEFAULT ROLE recs_overlay;

ALTER USER recs_overlay IDENTIFIED WITH sha256_password BY {password:String};

GRANT recs_overlay TO recs_overlay;
