CREATE TABLE IF NOT EXISTS lists_staging AS lists
