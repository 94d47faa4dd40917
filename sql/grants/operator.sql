-- People, by commands and through the API: read everything; publish, roll back, block, propose and approve rules, override
-- a gate, suppress and lift. They load and delete nothing.
CREATE ROLE IF NOT EXISTS recs_operator;

GRANT
    SELECT ON *,
    INSERT ON published_snapshots,
    INSERT ON rule_sets,
    INSERT ON blocks,
    INSERT ON gate_overrides,
    INSERT ON approvals,
    INSERT ON proposals,
    INSERT ON suppressions,
    INSERT ON suppression_lifts,
    INSERT ON user_events
TO recs_operator
WITH REPLACE OPTION;

CREATE SETTINGS PROFILE OR REPLACE recs_operator
SETTINGS max_memory_usage = 10000000000, max_execution_time = 120, max_result_rows = 1000000
TO recs_operator;

CREATE QUOTA OR REPLACE recs_operator
KEYED BY user_name
FOR INTERVAL 1 hour MAX queries = 60000, errors = 3000
TO recs_operator;

CREATE USER IF NOT EXISTS recs_operator IDENTIFIED WITH sha256_password BY {password:String} DEFAULT ROLE recs_operator;

ALTER USER recs_operator IDENTIFIED WITH sha256_password BY {password:String};

GRANT recs_operator TO recs_operator;
