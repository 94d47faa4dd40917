SELECT
    item_code,
    item_id,
    kind,
    family,
    name_en,
    name_ru
FROM items
WHERE snapshot_id = {snapshot_id:String}
ORDER BY item_code
