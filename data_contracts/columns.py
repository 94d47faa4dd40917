"""Every column name that more than one module uses, once."""

USER_ID = "user_id"
# What exports may be keyed by instead: a client id of the bank, which ingest maps and nobody else ever sees.
CLIENT_ID = "client_id"
ITEM_ID = "item_id"
PRODUCT_ID = "product_id"
FAMILY = "family"
DOMAIN = "domain"
ACTION = "action"
EVENT_TIME = "event_time"
EVENT_ID = "event_id"
EVENT_TYPE = "event_type"
WEIGHT = "weight"
DAY = "day"
AS_OF = "as_of"
SEGMENT = "segment"
SNAPSHOT_ID = "snapshot_id"
VARIANT = "variant"
ITEM_CODE = "item_code"
KIND = "kind"
NAME_EN = "name_en"
NAME_RU = "name_ru"
REASON = "reason"
# Why a row as delivered is kept out of silver.
REJECTED = "rejected"

PRODUCT_ITEMS = "product_items"
PRODUCT_SCORES = "product_scores"
PRODUCT_REASONS = "product_reasons"
OFFER_ITEMS = "offer_items"
OFFER_SCORES = "offer_scores"
OFFER_REASONS = "offer_reasons"

# Of a product's best users: 65535 less what they are ranked by, as it is stored, so that the best come first.
ITEM = "item"
SHORTFALL = "shortfall"
SCORE = "score"

# Registered features are float columns with this prefix.
FEATURE_PREFIX = "f_"
