-- Events that are stored, each counted once by its idempotency key.
SELECT uniqExact(topic, event_id) AS events FROM user_events
