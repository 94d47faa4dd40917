-- Moments at which an item was blocked or no longer, after one and up to another; microseconds since 1970.
SELECT DISTINCT toUnixTimestamp64Micro(moved_at) AS at_micros FROM blocks
WHERE
    moved_at > fromUnixTimestamp64Micro({since:Int64}, 'UTC')
    AND moved_at <= fromUnixTimestamp64Micro({at:Int64}, 'UTC')
