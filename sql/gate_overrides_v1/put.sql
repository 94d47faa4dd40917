INSERT INTO gate_overrides (snapshot_id, lists_checksum, step, actor, reason, failed_checks)
SELECT
    {snapshot_id:String},
    {lists_checksum:String},
    {step:String},
    {actor:String},
    {reason:String},
    {failed_checks:Array(String)}
