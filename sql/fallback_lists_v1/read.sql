-- All fallback lists of a snapshot: few enough to keep in memory.
SELECT
    tier,
    segment,
    product_items,
    product_scores,
    product_reasons,
    offer_items,
    offer_scores,
    offer_reasons
FROM fallback_lists
WHERE snapshot_id = {snapshot_id:String}
ORDER BY tier, segment
