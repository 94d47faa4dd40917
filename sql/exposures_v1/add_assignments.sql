-- Every experiment that the answer's user was in, and the arm in each; the two arrays have equal length.
ALTER TABLE exposures
ADD COLUMN IF NOT EXISTS experiments Array(LowCardinality(String)),
ADD COLUMN IF NOT EXISTS arms Array(LowCardinality(String))
