-- The twin of data_contracts/checksums.py, which says what is computed and why.
SELECT
    count() AS row_count,
    sum(intHash64(
        intHash64(intHash64(item_code) + 1 * 4294967296 + 1)
        + intHash64(intHash64(CRC32(item_id) + length(item_id) * 4294967296) + 2 * 4294967296 + 1)
        + intHash64(intHash64(CRC32(kind) + length(kind) * 4294967296) + 3 * 4294967296 + 1)
        + intHash64(intHash64(CRC32(family) + length(family) * 4294967296) + 4 * 4294967296 + 1)
        + intHash64(intHash64(CRC32(name_en) + length(name_en) * 4294967296) + 5 * 4294967296 + 1)
        + intHash64(intHash64(CRC32(name_ru) + length(name_ru) * 4294967296) + 6 * 4294967296 + 1)
    )) AS checksum
FROM items
WHERE snapshot_id = {snapshot_id:String}
