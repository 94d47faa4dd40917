SELECT
    product_id,
    feature,
    holders,
    holders_mean,
    everyone_mean
FROM portraits
WHERE snapshot_id = {snapshot_id:String}
ORDER BY product_id, feature
