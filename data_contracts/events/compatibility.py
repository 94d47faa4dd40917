"""Whether a topic's schemas stay readable: backward-transitive, so the newest reads what any version ever wrote."""

from collections.abc import Iterator, Sequence
from itertools import combinations

import avro.schema
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

from data_contracts.events.schemas import EventSchema

# Attributes that whoever reads any version relies on.
_LASTING = ("name", "namespace", "idempotency_key", "event_time")


def incompatibilities(schemas: Sequence[EventSchema]) -> list[str]:
    """What breaks each later version's reading of each earlier one, in words; `schemas` oldest first.

    By Avro's schema resolution; beyond it, lasting attributes stay and vocabularies only grow.
    """
    return [
        f"{later.topic} {later.version} cannot read {earlier.version}: {why}"
        for earlier, later in combinations(schemas, 2)
        for why in (*_unresolved(later, earlier), *_moved(later, earlier), *_lost_words(later, earlier))
    ]


def _unresolved(later: EventSchema, earlier: EventSchema) -> Iterator[str]:
    reader, writer = avro.schema.parse(later.text), avro.schema.parse(earlier.text)
    result = ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)  # type: ignore[no-untyped-call]
    if result.compatibility is not SchemaCompatibilityType.compatible:
        yield from sorted(result.messages) or ("its types differ",)


def _moved(later: EventSchema, earlier: EventSchema) -> Iterator[str]:
    for name in _LASTING:
        if later.parsed[name] != earlier.parsed[name]:
            yield f"{name} is {later.parsed[name]}, was {earlier.parsed[name]}"


def _lost_words(later: EventSchema, earlier: EventSchema) -> Iterator[str]:
    words = {field["name"]: field.get("values", ()) for field in later.parsed["fields"]}
    for field in earlier.parsed["fields"]:
        lost = sorted(set(field.get("values", ())) - set(words.get(field["name"], ())))
        if lost and field["name"] in words:
            yield f"{field['name']} lost {', '.join(lost)}"
