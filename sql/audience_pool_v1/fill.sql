-- Ties go to the smaller user id, so that the order is total.
INSERT INTO audience_pool_staging (snapshot_id, variant, item, shortfall, user_id)
SELECT
    snapshot_id,
    variant,
    item,
    toUInt16(65535 - score) AS shortfall,
    user_id
FROM lists
ARRAY JOIN
    product_items AS item,
    arrayResize(product_scores, length(product_items)) AS score
WHERE snapshot_id = {snapshot_id:String}
ORDER BY variant, item, shortfall, user_id
LIMIT {most:UInt64} BY variant, item
