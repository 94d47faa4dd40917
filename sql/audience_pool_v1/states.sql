-- As the policy sees the users of a page.
WITH page AS (
    SELECT user_id FROM audience_pool
    WHERE
        snapshot_id = {snapshot_id:String}
        AND variant = {variant:String}
        AND item = {item:Int32}
        AND shortfall BETWEEN {after_short:UInt16} AND {last_short:UInt16}
        AND (shortfall, user_id) > ({after_short:UInt16}, {after_user:UInt64})
        AND (shortfall, user_id) <= ({last_short:UInt16}, {last_user:UInt64})
        AND score >= {least_score:UInt16}
)

SELECT
    user_id,
    segment,
    holdings,
    birth_year,
    region,
    income_band,
    employment,
    score_band,
    arrears_days,
    consents
FROM user_state
WHERE snapshot_id = {snapshot_id:String} AND user_id IN (SELECT page.user_id FROM page)
