-- The same of the staging table, which is there, and as the table is where it was not.
ALTER TABLE audience_pool_staging ADD COLUMN IF NOT EXISTS score UInt16 DEFAULT 65535 - shortfall
