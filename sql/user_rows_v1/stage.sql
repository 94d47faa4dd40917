CREATE TABLE IF NOT EXISTS user_rows_staging AS user_rows
