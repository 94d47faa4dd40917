CREATE TABLE IF NOT EXISTS audience_pool_staging AS audience_pool
