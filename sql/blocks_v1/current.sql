-- Items blocked now. Where two rows of an item are equally new, the stop wins.
WITH newest AS (
    SELECT
        item_id,
        argMax((moved_at, blocked, actor, why), (seq, moved_at, blocked)) AS last_move
    FROM blocks
    GROUP BY item_id
)

SELECT
    item_id,
    last_move.1 AS moved_at,
    last_move.3 AS actor,
    last_move.4 AS why
FROM newest
WHERE last_move.2
ORDER BY item_id
