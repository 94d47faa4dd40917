CREATE TABLE IF NOT EXISTS fallback_lists_staging AS fallback_lists
