CREATE TABLE IF NOT EXISTS user_state_staging AS user_state
