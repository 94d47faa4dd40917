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
WHERE snapshot_id = {snapshot_id:String} AND user_id IN {user_ids:Array(UInt64)}
