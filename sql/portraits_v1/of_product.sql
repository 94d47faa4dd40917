SELECT
    feature,
    holders,
    holders_mean,
    everyone_mean
FROM portraits
WHERE snapshot_id = {snapshot_id:String} AND product_id = {product_id:String}
ORDER BY feature
