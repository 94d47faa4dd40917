-- What answers showed; one that was logged twice is there twice, with the same items.
SELECT
    rec_id,
    item_ids
FROM exposures
WHERE rec_id IN {rec_ids:Array(String)}
