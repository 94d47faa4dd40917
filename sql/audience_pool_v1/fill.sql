-- Of each product the best `most` users and a few more: down to the bucket of 64 scores in which the last of them lies.
-- Measured: sorting all of them to cut exactly takes many times as long.
INSERT INTO audience_pool_staging (snapshot_id, variant, item, shortfall, user_id)
WITH listed AS (
    SELECT
        variant,
        user_id,
        item,
        toUInt16(65535 - score) AS shortfall
    FROM lists
    ARRAY JOIN
        product_items AS item,
        arrayResize(product_scores, length(product_items)) AS score
    WHERE snapshot_id = {snapshot_id:String}
),

counted AS (
    SELECT
        listed.variant,
        listed.item,
        intDiv(listed.shortfall, 64) AS bucket,
        count() AS users
    FROM listed
    GROUP BY listed.variant, listed.item, bucket
),

ranked AS (
    SELECT
        counted.variant,
        counted.item,
        counted.bucket,
        sum(counted.users) OVER (
            PARTITION BY counted.variant, counted.item ORDER BY counted.bucket
        ) - counted.users AS better
    FROM counted
),

bounds AS (
    SELECT
        ranked.variant,
        ranked.item,
        max(ranked.bucket) AS last_bucket
    FROM ranked
    WHERE ranked.better < {most:UInt64}
    GROUP BY ranked.variant, ranked.item
)

SELECT
    {snapshot_id:String} AS of_snapshot, -- noqa: RF02
    listed.variant,
    listed.item,
    listed.shortfall,
    listed.user_id
FROM listed
INNER JOIN bounds ON listed.variant = bounds.variant AND listed.item = bounds.item
WHERE intDiv(listed.shortfall, 64) <= bounds.last_bucket
