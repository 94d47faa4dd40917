-- The suppressions that were accepted under one id.
SELECT
    place,
    user_id,
    kind,
    channel,
    product_id,
    family
FROM suppressions FINAL
WHERE suppression_id = {suppression_id:String}
ORDER BY place
