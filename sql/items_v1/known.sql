SELECT count() > 0 AS is_known FROM items
WHERE item_id = {item_id:String}
