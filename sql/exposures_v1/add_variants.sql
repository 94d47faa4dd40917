-- Whose product and offer lists an answer was made of, whatever of them was shown; null where it was not asked for.
ALTER TABLE exposures
ADD COLUMN IF NOT EXISTS product_variant LowCardinality(Nullable(String)),
ADD COLUMN IF NOT EXISTS offer_variant LowCardinality(Nullable(String))
