-- The twin of data_contracts/checksums.py, which says what is computed and why.
SELECT
    count() AS row_count,
    sum(intHash64(
        intHash64(intHash64(user_id) + 1 * 4294967296 + 1)
        + intHash64(intHash64(segment) + 2 * 4294967296 + 1)
        + arraySum(arrayMap(
            (value, position) -> intHash64(intHash64(value) + 3 * 4294967296 + position),
            holdings, arrayEnumerate(holdings)
        ))
        + intHash64(intHash64(birth_year) + 4 * 4294967296 + 1)
        + intHash64(intHash64(region) + 5 * 4294967296 + 1)
        + intHash64(intHash64(income_band) + 6 * 4294967296 + 1)
        + intHash64(intHash64(CRC32(employment) + length(employment) * 4294967296) + 7 * 4294967296 + 1)
        + intHash64(intHash64(score_band) + 8 * 4294967296 + 1)
        + intHash64(intHash64(arrears_days) + 9 * 4294967296 + 1)
        + intHash64(intHash64(consents) + 10 * 4294967296 + 1)
    )) AS checksum
FROM user_state
WHERE snapshot_id = {snapshot_id:String}
