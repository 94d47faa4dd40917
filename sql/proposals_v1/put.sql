INSERT INTO proposals (kind, proposal_id, name, step, actor, reason, document)
SELECT
    {kind:String},
    {proposal_id:String},
    {name:String},
    {step:String},
    {actor:String},
    {reason:String},
    {document:String}
