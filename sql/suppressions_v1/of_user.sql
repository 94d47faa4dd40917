-- A user's suppressions, oldest first, each with its first lift, where there was one.
WITH
accepted AS (
    SELECT
        accepted_at,
        suppression_id,
        place,
        kind,
        channel,
        product_id,
        family,
        until,
        reason,
        actor
    FROM suppressions FINAL
    WHERE user_id = {user_id:UInt64}
),

lifts AS (
    SELECT
        suppression_id,
        place,
        min(lifted_at) AS first_at,
        argMin(lift_id, lifted_at) AS lift_id,
        argMin(actor, lifted_at) AS lifted_by,
        argMin(reason, lifted_at) AS lifted_why
    FROM suppression_lifts
    WHERE user_id = {user_id:UInt64}
    GROUP BY suppression_id, place
)

SELECT
    accepted.accepted_at,
    accepted.suppression_id,
    accepted.kind,
    accepted.channel,
    accepted.product_id,
    accepted.family,
    accepted.until,
    accepted.reason,
    accepted.actor,
    lifts.lift_id,
    lifts.first_at,
    lifts.lifted_by,
    lifts.lifted_why
FROM accepted
LEFT JOIN lifts ON accepted.suppression_id = lifts.suppression_id AND accepted.place = lifts.place
ORDER BY accepted.accepted_at, accepted.suppression_id, accepted.place
