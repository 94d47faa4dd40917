-- Steps of documents of a kind, oldest first.
SELECT
    at,
    proposal_id,
    name,
    step,
    actor,
    reason,
    document
FROM proposals
WHERE kind = {kind:String}
ORDER BY at, proposal_id, step
