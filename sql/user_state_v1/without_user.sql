-- Into the staging table, all of a snapshot but one person. A mutation would do, but keeps its text, and so the id.
INSERT INTO user_state_staging (
    snapshot_id, user_id, segment, holdings, birth_year, region,
    income_band, employment, score_band, arrears_days, consents
)
SELECT
    snapshot_id,
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
WHERE snapshot_id = {snapshot_id:String} AND user_id != {user_id:UInt64}
