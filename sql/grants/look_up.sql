-- The service (REST and gRPC) and who pulls lists: reads everything, keeps what users say and were shown, and what callers
-- pull. What operators decide (pointer, rules, stops, overrides, suppressions) it reads and cannot write.
CREATE ROLE IF NOT EXISTS recs_look_up;

GRANT
    SELECT ON *,
    INSERT ON exposures,
    INSERT ON feedback,
    INSERT ON user_events,
    INSERT ON audiences,
    INSERT ON audience_members,
    INSERT ON exports
TO recs_look_up
WITH REPLACE OPTION;

CREATE SETTINGS PROFILE OR REPLACE recs_look_up
SETTINGS max_memory_usage = 8000000000, max_execution_time = 300
TO recs_look_up;

CREATE QUOTA OR REPLACE recs_look_up
KEYED BY user_name
FOR INTERVAL 1 minute MAX queries = 600000, errors = 60000
TO recs_look_up;

CREATE USER IF NOT EXISTS recs_look_up IDENTIFIED WITH sha256_password BY {password:String} DEFAULT ROLE recs_look_up;

ALTER USER recs_look_up IDENTIFIED WITH sha256_password BY {password:String};

GRANT recs_look_up TO recs_look_up;
