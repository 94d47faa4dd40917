-- Where and when an answer was asked, as far as it decided on it, and the experiment that its user was in.
ALTER TABLE exposures
ADD COLUMN IF NOT EXISTS experiment Nullable(String),
ADD COLUMN IF NOT EXISTS screen Nullable(String),
ADD COLUMN IF NOT EXISTS placement Nullable(String),
ADD COLUMN IF NOT EXISTS search_family Nullable(String),
ADD COLUMN IF NOT EXISTS cart Array(String),
ADD COLUMN IF NOT EXISTS basket_product Nullable(String)
