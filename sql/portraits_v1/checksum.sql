-- The twin of data_contracts/checksums.py, which says what is computed and why.
SELECT
    count() AS row_count,
    sum(intHash64(
        intHash64(intHash64(CRC32(product_id) + length(product_id) * 4294967296) + 1 * 4294967296 + 1)
        + intHash64(intHash64(CRC32(feature) + length(feature) * 4294967296) + 2 * 4294967296 + 1)
        + intHash64(intHash64(holders) + 3 * 4294967296 + 1)
        + intHash64(intHash64(
            if(isNull(holders_mean), 11400714819323198485, toUInt64(reinterpretAsUInt32(assumeNotNull(holders_mean))))
        ) + 4 * 4294967296 + 1)
        + intHash64(intHash64(
            if(isNull(everyone_mean), 11400714819323198485, toUInt64(reinterpretAsUInt32(assumeNotNull(everyone_mean))))
        ) + 5 * 4294967296 + 1)
    )) AS checksum
FROM portraits
WHERE snapshot_id = {snapshot_id:String}
