-- What of an accepted suppression was lifted, with the lift that came first.
SELECT
    place,
    argMin(lift_id, lifted_at) AS lift_id
FROM suppression_lifts
WHERE suppression_id = {suppression_id:String}
GROUP BY place
