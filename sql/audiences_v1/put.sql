INSERT INTO audiences (audience_id, actor, snapshot_id, request, outcome, members)
SELECT
    {audience_id:String},
    {actor:String},
    {snapshot_id:String},
    {request:String},
    {outcome:String},
    {members:String}
