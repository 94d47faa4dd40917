-- What the audience's rows of members are called, so that what several put under one id does not mix.
ALTER TABLE audiences
ADD COLUMN IF NOT EXISTS members String DEFAULT audience_id
