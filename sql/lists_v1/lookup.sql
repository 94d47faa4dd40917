SELECT
    user_id,
    variant,
    product_items,
    product_scores,
    product_reasons,
    offer_items,
    offer_scores,
    offer_reasons
FROM lists
WHERE snapshot_id = {snapshot_id:String} AND user_id IN {user_ids:Array(UInt64)}
