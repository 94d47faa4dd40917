"""Events as the bank's topics carry them: Avro schemas with all their versions, and how messages are read and written.

Belongs here: what an event is. How Kafka is spoken to does not.
"""

from data_contracts.events.schemas import TOPICS, EventSchema, newest, versions

__all__ = ["TOPICS", "EventSchema", "newest", "versions"]
