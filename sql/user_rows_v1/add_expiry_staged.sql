-- The same of the staging table, which is there, and as the table is where it was not.
ALTER TABLE user_rows_staging
ADD COLUMN IF NOT EXISTS expires_at DateTime('UTC') DEFAULT toDateTime(4294967295, 'UTC'),
MODIFY TTL expires_at
SETTINGS materialize_ttl_after_modify = 0
