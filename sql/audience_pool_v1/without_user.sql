-- Into the staging table, all of a snapshot but one person. A mutation would do, but keeps its text, and so the id.
INSERT INTO audience_pool_staging (snapshot_id, variant, item, shortfall, user_id, score)
SELECT
    snapshot_id,
    variant,
    item,
    shortfall,
    user_id,
    score
FROM audience_pool
WHERE snapshot_id = {snapshot_id:String} AND user_id != {user_id:UInt64}
