-- The product's probability as lists have it, beside what ranks the users: of uplift that is something else. Pools of
-- before were made of lists, and ranked by it.
ALTER TABLE audience_pool ADD COLUMN IF NOT EXISTS score UInt16 DEFAULT 65535 - shortfall
