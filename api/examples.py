"""Examples for the contract."""

ANSWER = {
    "rec_id": "AQIABk0W5aQ8AC0Lm1m8pX6sMjAyNi0wMy0xNS4xN0dKqWcTgq0Nn1rN3yqk7A",
    "user_id": "1000042",
    "timestamp": "2026-03-16T09:00:00.000Z",
    "snapshot_id": "2026-03-15.1",
    "snapshot_age_s": 129600,
    "tier": "personal",
    "variant": "personal",
    "experiment": None,
    "policy_hash": "2d0b9b59bca57eac",
    "recommendations": [
        {
            "product_id": "card_gold",
            "product_name": "Gold card",
            "kind": "product",
            "family": "card",
            "score": 0.0412,
            "tier": "personal",
            "reasons": [{"code": 1, "text": "Fits what you spend on"}],
        }
    ],
}
MANY = {
    "user_ids": ["1000042", "1000043"],
    "channel": "mobile",
    "top_k": 3,
    "context": {
        "screen": "cards",
        "placement": "checkout",
        "search": "travel card",
        "cart": ["offer_a"],
        "basket_product": "card_debit",
    },
}
FEEDBACK = {
    "rec_id": ANSWER["rec_id"],
    "user_id": "1000042",
    "event_type": "click",
    "timestamp": "2026-03-16T09:00:07Z",
    "context": {"product_id": "card_gold", "position": 1},
}
FEEDBACK_TAKEN = {"id": "5f0c7127b2d84b5fb9a1d6a5c1e0f3aa", "status": "accepted", "is_expired": False}
