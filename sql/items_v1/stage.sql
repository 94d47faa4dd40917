CREATE TABLE IF NOT EXISTS items_staging AS items
