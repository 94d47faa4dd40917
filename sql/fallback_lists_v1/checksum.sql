-- The twin of data_contracts/checksums.py, which says what is computed and why.
SELECT
    count() AS row_count,
    sum(intHash64(
        intHash64(intHash64(CRC32(tier) + length(tier) * 4294967296) + 1 * 4294967296 + 1)
        + intHash64(intHash64(segment) + 2 * 4294967296 + 1)
        + arraySum(arrayMap(
            (value, position) -> intHash64(intHash64(value) + 3 * 4294967296 + position),
            product_items, arrayEnumerate(product_items)
        ))
        + arraySum(arrayMap(
            (value, position) -> intHash64(intHash64(value) + 4 * 4294967296 + position),
            product_scores, arrayEnumerate(product_scores)
        ))
        + arraySum(arrayMap(
            (value, position) -> intHash64(intHash64(value) + 5 * 4294967296 + position),
            product_reasons, arrayEnumerate(product_reasons)
        ))
        + arraySum(arrayMap(
            (value, position) -> intHash64(intHash64(value) + 6 * 4294967296 + position),
            offer_items, arrayEnumerate(offer_items)
        ))
        + arraySum(arrayMap(
            (value, position) -> intHash64(intHash64(value) + 7 * 4294967296 + position),
            offer_scores, arrayEnumerate(offer_scores)
        ))
        + arraySum(arrayMap(
            (value, position) -> intHash64(intHash64(value) + 8 * 4294967296 + position),
            offer_reasons, arrayEnumerate(offer_reasons)
        ))
    )) AS checksum
FROM fallback_lists
WHERE snapshot_id = {snapshot_id:String}
