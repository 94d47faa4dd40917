-- Moments at which a rule set was approved, after one and up to another; microseconds since 1970.
SELECT DISTINCT toUnixTimestamp64Micro(approved_at) AS at_micros FROM rule_sets
WHERE
    approved_at > fromUnixTimestamp64Micro({since:Int64}, 'UTC')
    AND approved_at <= fromUnixTimestamp64Micro({at:Int64}, 'UTC')
