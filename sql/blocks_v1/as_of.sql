-- Items blocked at a moment, in microseconds since 1970. Where two rows of an item are equally new, the stop wins.
WITH newest AS (
    SELECT
        item_id,
        argMax(blocked, (seq, moved_at, blocked)) AS is_blocked
    FROM blocks
    WHERE moved_at <= fromUnixTimestamp64Micro({at:Int64}, 'UTC')
    GROUP BY item_id
)

SELECT item_id FROM newest
WHERE is_blocked
ORDER BY item_id
