INSERT INTO exports (export_id, step, actor, request, told)
SELECT
    {export_id:String},
    {step:String},
    {actor:String},
    {request:String},
    {told:String}
