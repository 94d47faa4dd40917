"""Closed vocabularies: each word that data may contain, and how spellings found in the wild map to it."""

from enum import StrEnum


class Family(StrEnum):
    """Families of bank products."""

    LOAN = "loan"
    CARD = "card"
    DEPOSIT = "deposit"
    SAVINGS = "savings"
    PREMIUM = "premium"
    INVESTMENT = "investment"
    CASHBACK = "cashback"
    MORTGAGE = "mortgage"
    INSURANCE = "insurance"


class Kind(StrEnum):
    PRODUCT = "product"
    OFFER = "offer"


class Channel(StrEnum):
    MOBILE = "mobile"
    WEB = "web"
    CRM = "crm"


class Scope(StrEnum):
    """What a bearer token may be allowed. One entry a right; routes name it, tokens carry it."""

    RECOMMENDATIONS_READ = "recommendations:read"
    FEEDBACK_WRITE = "feedback:write"
    LISTS_READ = "lists:read"
    SNAPSHOTS_WRITE = "snapshots:write"
    RULES_WRITE = "rules:write"
    PROFILES_READ = "profiles:read"
    SUPPRESSIONS_WRITE = "suppressions:write"
    AUDIENCES_WRITE = "audiences:write"
    EXPORTS_WRITE = "exports:write"
    CAMPAIGNS_WRITE = "campaigns:write"


class Tier(StrEnum):
    """Where an answer came from, best first."""

    PERSONAL = "personal"
    SEGMENT = "segment"
    POPULAR = "popular"
    STATIC = "static"


class Variant(StrEnum):
    """Families of models that make lists. The last two are made only for whom an experiment or outbound needs them."""

    PERSONAL = "personal"
    SEGMENT = "segment"
    UPLIFT = "uplift"
    CHALLENGER = "challenger"


class Screen(StrEnum):
    """Screens of the app, as its telemetry calls them."""

    MAIN = "main"
    HISTORY = "history"
    TRANSFERS = "transfers"
    PAYMENTS = "payments"
    OFFERS = "offers"
    PROFILE = "profile"
    CHAT = "chat"
    MAP = "map"
    LOANS = "loans"
    LOAN_CALCULATOR = "loan_calculator"
    CARDS = "cards"
    CARD_ORDER = "card_order"
    DEPOSITS = "deposits"
    DEPOSIT_CALCULATOR = "deposit_calculator"
    SAVINGS = "savings"
    GOALS = "goals"
    PREMIUM = "premium"
    INVESTMENTS = "investments"
    STOCK_MARKET = "stock_market"
    CASHBACK = "cashback"
    BONUSES = "bonuses"
    MORTGAGE = "mortgage"
    MORTGAGE_CALCULATOR = "mortgage_calculator"
    INSURANCE = "insurance"


class Placement(StrEnum):
    """Where on a screen, or in which message, an answer stands."""

    BANNER = "banner"
    FEED = "feed"
    PRODUCT_PAGE = "product_page"
    SEARCH_RESULTS = "search_results"
    CHECKOUT = "checkout"
    RECEIPT = "receipt"
    SHOWCASE = "showcase"


class Domain(StrEnum):
    """Where behaviour was seen. The first four are T-ECD's; users span all of them."""

    MARKETPLACE = "marketplace"
    RETAIL = "retail"
    OFFERS = "offers"
    PAYMENTS = "payments"
    RECEIPTS = "receipts"
    REVIEWS = "reviews"
    TRANSACTIONS = "transactions"
    TELEMETRY = "telemetry"


class Action(StrEnum):
    """One vocabulary of actions for every domain, from exposure to commitment."""

    VIEW = "view"
    CLICK = "click"
    LIKE = "like"
    CLICKOUT = "clickout"
    CART = "cart"
    PURCHASE = "purchase"
    REVIEW = "review"
    SEARCH = "search"


# Spelling as published (T-ECD has two generations of them) -> our word.
ACTION_SPELLINGS: dict[str, Action] = {
    "view": Action.VIEW,
    "seen": Action.VIEW,
    "offer_shown": Action.VIEW,
    "click": Action.CLICK,
    "like": Action.LIKE,
    "clickout": Action.CLICKOUT,
    "redirect_to_partner": Action.CLICKOUT,
    "added-to-cart": Action.CART,
    "added_to_cart": Action.CART,
    "order": Action.PURCHASE,
    "purchase": Action.PURCHASE,
}

# What counts as more than exposure in backtests on T-ECD (label "click").
CLICK_ACTIONS = (Action.CLICK, Action.CLICKOUT, Action.LIKE)


class ProductEvent(StrEnum):
    APPLIED = "applied"
    APPROVED = "approved"
    DECLINED = "declined"
    OPENED = "opened"
    CLOSED = "closed"


class CampaignEvent(StrEnum):
    HELD_OUT = "held_out"  # drawn into the control group: shown nothing
    SHOWN = "shown"
    CLICKED = "clicked"
    DISMISSED = "dismissed"
    PURCHASED = "purchased"
    SENT = "sent"  # handed to the carrier of messages; shown is more than that
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"


class ContactEvent(StrEnum):
    """What exports and audiences say of users before anything is sent; only the service itself says it."""

    RESERVED = "reserved"  # counts as sent, until it is sent, released or over
    RELEASED = "released"  # what the same export or audience reserved, or holds out, counts no longer


class FeedbackEvent(StrEnum):
    """What a user does about recommendations."""

    SHOWN = "shown"
    CLICKED = "clicked"
    DISMISSED = "dismissed"
    PURCHASED = "purchased"
    COMPLAINED = "complained"
    OPTED_OUT = "opted_out"
    OPTED_IN = "opted_in"


class SuppressionEvent(StrEnum):
    """What a suppression takes out, or that one was taken back."""

    CHANNEL = "channel_suppressed"
    PRODUCT = "product_suppressed"
    FAMILY = "family_suppressed"
    ERASURE = "erasure_suppressed"  # everything in the channel, and nothing ends it
    LIFTED = "suppression_lifted"


class SuppressionKind(StrEnum):
    """Why somebody must not be addressed."""

    COMPLAINT = "complaint"
    OPT_OUT = "opt_out"
    ERASURE_REQUEST = "erasure_request"
    OTHER = "other"


class TelemetryEvent(StrEnum):
    SCREEN = "screen"
    SEARCH = "search"
    PRODUCT_VIEW = "product_view"


class Employment(StrEnum):
    EMPLOYED = "employed"
    SELF_EMPLOYED = "self_employed"
    STUDENT = "student"
    RETIRED = "retired"
    UNEMPLOYED = "unemployed"


class LifecycleStage(StrEnum):
    NEW = "new"
    ACTIVE = "active"
    ENGAGED = "engaged"
    DORMANT = "dormant"
    LEAVING = "leaving"


# "no transaction" in T-ECD payment receipts.
NO_TRANSACTION_HASH = "55cc577396e77d0e"
