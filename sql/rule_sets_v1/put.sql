INSERT INTO rule_sets (seq, version, catalogue, rules, reasons, actor)
SELECT
    max(seq) + 1 AS next_seq,
    {version:String},
    {catalogue:String},
    {rules:String},
    {reasons:String},
    {actor:String}
FROM rule_sets
