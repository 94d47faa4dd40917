-- Of the users between two ids.
INSERT INTO user_rows_staging (snapshot_id, user_id, variants, states, body)
WITH parts AS (
    SELECT
        user_id,
        1 AS is_list,
        toJSONString((
            variant, product_items, product_scores, product_reasons, offer_items, offer_scores, offer_reasons
        )) AS part
    FROM lists
    WHERE snapshot_id = {snapshot_id:String} AND user_id BETWEEN {first:UInt64} AND {last:UInt64}
    UNION ALL
    SELECT
        user_id,
        0 AS is_list,
        toJSONString((
            segment, holdings, birth_year, region, income_band, employment, score_band, arrears_days, consents
        )) AS part
    FROM user_state
    WHERE snapshot_id = {snapshot_id:String} AND user_id BETWEEN {first:UInt64} AND {last:UInt64}
)

SELECT
    {snapshot_id:String} AS of_snapshot, -- noqa: RF02
    parts.user_id,
    sum(parts.is_list) AS variants,
    sum(1 - parts.is_list) AS states,
    concat(
        '[[',
        arrayStringConcat(arraySort(groupArrayIf(parts.part, parts.is_list = 1)), ','),
        '],[',
        arrayStringConcat(groupArrayIf(parts.part, parts.is_list = 0), ','),
        ']]'
    ) AS body
FROM parts
GROUP BY parts.user_id
ORDER BY parts.user_id
