-- Grain: all that a look-up needs of a user of one snapshot, as JSON: [lists, states], where lists are rows of `lists`
-- without the user (variant, then six arrays) and states the row of `user_state` without the user, or none.
-- Made of the two when a snapshot is loaded. Measured: a look-up's time goes with queries and columns, planning before
-- reading, so one query of two columns takes two fifths of one of 8 and one of 10; small granules again halve what
-- many users cost. `variants` and `states` are how many of each there are.
CREATE TABLE IF NOT EXISTS user_rows (
    snapshot_id String,
    user_id UInt64 CODEC (T64, LZ4),
    variants UInt8,
    states UInt8,
    body String CODEC (ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY snapshot_id
ORDER BY user_id
SETTINGS index_granularity = 32, min_compress_block_size = 8192, max_compress_block_size = 8192,
min_rows_for_wide_part = 1099511627776, min_bytes_for_wide_part = 1099511627776
