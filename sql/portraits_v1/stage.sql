CREATE TABLE IF NOT EXISTS portraits_staging AS portraits
