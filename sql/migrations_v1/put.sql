INSERT INTO migrations (step, file, digest)
SELECT
    {step:UInt32},
    {file:String},
    {digest:String}
