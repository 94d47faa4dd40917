-- The next users of a product after one of them, best first.
SELECT
    user_id,
    shortfall,
    score
FROM audience_pool
WHERE
    snapshot_id = {snapshot_id:String}
    AND variant = {variant:String}
    AND item = {item:Int32}
    AND shortfall >= {after_short:UInt16}
    AND (shortfall, user_id) > ({after_short:UInt16}, {after_user:UInt64})
    AND score >= {least_score:UInt16}
ORDER BY shortfall, user_id
LIMIT {most:UInt64}
