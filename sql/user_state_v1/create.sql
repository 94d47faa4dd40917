-- Grain: a user as the policy sees them in one snapshot.
-- Unknown: birth_year 0, region -1, income_band -1, employment '', score_band 0, arrears_days -1.
-- consents is a bit mask: 1 mobile, 2 web, 4 crm, 8 profiling. holdings are item codes of products.
CREATE TABLE IF NOT EXISTS user_state (
    snapshot_id String,
    user_id UInt64 CODEC (T64, LZ4),
    segment Int16 CODEC (T64, LZ4),
    holdings Array(Int32) CODEC (T64, LZ4),
    birth_year Int16 CODEC (T64, LZ4),
    region Int16 CODEC (T64, LZ4),
    income_band Int8,
    employment LowCardinality(String),
    score_band Int8,
    arrears_days Int16 CODEC (T64, LZ4),
    consents UInt8
)
ENGINE = MergeTree
PARTITION BY snapshot_id
ORDER BY user_id
SETTINGS index_granularity = 128, min_compress_block_size = 8192, max_compress_block_size = 8192,
min_rows_for_wide_part = 1099511627776, min_bytes_for_wide_part = 1099511627776
