-- A row is kept 46 days beyond its end (data_contracts/keeping.py), since an answer that it changed may be explained so
-- long; look-ups read copies in user_rows, which go at once. What lasts for good does: without the bound the sum would
-- begin in 1970.
ALTER TABLE user_events MODIFY TTL toDateTime(
    least(toUnixTimestamp(expires_at) + toUInt64(46 * 86400), toUInt64(4294967295)), 'UTC'
)
