INSERT INTO approvals (action, subject, step, actor, reason)
SELECT
    {action:String},
    {subject:String},
    {step:String},
    {actor:String},
    {reason:String}
