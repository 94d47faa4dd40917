-- The twin of data_contracts/checksums.py, which says what is computed and why.
SELECT
    count() AS row_count,
    sum(intHash64(
        intHash64(intHash64(CRC32(variant) + length(variant) * 4294967296) + 1 * 4294967296 + 1)
        + intHash64(intHash64(item) + 2 * 4294967296 + 1)
        + intHash64(intHash64(shortfall) + 3 * 4294967296 + 1)
        + intHash64(intHash64(user_id) + 4 * 4294967296 + 1)
        + intHash64(intHash64(score) + 5 * 4294967296 + 1)
    )) AS checksum
FROM audience_pool
WHERE snapshot_id = {snapshot_id:String}
