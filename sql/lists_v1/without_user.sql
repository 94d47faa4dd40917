-- Into the staging table, all of a snapshot but one person. A mutation would do, but keeps its text, and so the id.
INSERT INTO lists_staging (
    snapshot_id, user_id, variant,
    product_items, product_scores, product_reasons, offer_items, offer_scores, offer_reasons
)
SELECT
    snapshot_id,
    user_id,
    variant,
    product_items,
    product_scores,
    product_reasons,
    offer_items,
    offer_scores,
    offer_reasons
FROM lists
WHERE snapshot_id = {snapshot_id:String} AND user_id != {user_id:UInt64}
